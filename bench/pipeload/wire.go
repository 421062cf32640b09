package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

const (
	largeBuffer = 512 << 10 // bodies: few system calls
	smallBuffer = 8 << 10   // heads and small bodies
	chunkLen    = 64 << 10  // of a chunked body
	perWrite    = 8         // chunks that one system call takes along
)

// wire is one connection; buf[from:to] was read and not yet used.
type wire struct {
	conn     *net.TCPConn
	buf      []byte
	from, to int
}

// answer is the head of a response; length is -1 when it does not say.
type answer struct {
	status   int
	length   int64
	chunked  bool
	closes   bool
	location string
	offset   int64
}

func dial(o options, buffer int) (*wire, error) {
	dialer := net.Dialer{Deadline: o.deadline}
	conn, err := dialer.Dial("tcp", o.addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(o.deadline); err != nil {
		return nil, err
	}
	return &wire{conn: conn.(*net.TCPConn), buf: make([]byte, buffer)}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

func (w *wire) send(data []byte) error {
	_, err := w.conn.Write(data)
	return err
}

// sendBody writes the pattern straight from the block.
func (w *wire) sendBody(p pattern, chunked bool) error {
	if chunked {
		return w.sendChunks(p)
	}
	for offset := int64(0); offset < p.size; {
		piece := p.at(offset, blockLen)
		if err := w.send(piece); err != nil {
			return fmt.Errorf("writing stopped between %d and %d of %d bytes: %w",
				offset, offset+int64(len(piece)), p.size, err)
		}
		offset += int64(len(piece))
	}
	return nil
}

func (w *wire) sendChunks(p pattern) error {
	for offset := int64(0); offset < p.size; {
		var batch net.Buffers
		for i := 0; i < perWrite && offset < p.size; i++ {
			piece := p.at(offset, chunkLen)
			head := append(strconv.AppendInt(nil, int64(len(piece)), 16), "\r\n"...)
			batch = append(batch, head, piece, []byte("\r\n"))
			offset += int64(len(piece))
		}
		if _, err := batch.WriteTo(w.conn); err != nil {
			return fmt.Errorf("writing stopped before %d of %d bytes: %w", offset, p.size, err)
		}
	}
	return w.send([]byte("0\r\n\r\n"))
}

// fill reads more behind what is unused; the buffer must have room for it.
func (w *wire) fill() error {
	if w.from > 0 {
		w.to = copy(w.buf, w.buf[w.from:w.to])
		w.from = 0
	}
	if w.to == len(w.buf) {
		return errors.New("a line or head is longer than the buffer")
	}
	n, err := w.conn.Read(w.buf[w.to:])
	w.to += n
	if n > 0 {
		return nil
	}
	return err
}

// until returns what comes before the mark, and skips the mark.
func (w *wire) until(mark string) (string, error) {
	for {
		if i := bytes.Index(w.buf[w.from:w.to], []byte(mark)); i >= 0 {
			text := string(w.buf[w.from : w.from+i])
			w.from += i + len(mark)
			return text, nil
		}
		if err := w.fill(); err != nil {
			return "", err
		}
	}
}

// head reads the head of the final response.
func (w *wire) head() (answer, error) {
	for {
		text, err := w.until("\r\n\r\n")
		if err != nil {
			return answer{}, fmt.Errorf("no answer: %w", err)
		}
		a, err := parseHead(text)
		if err != nil || a.status >= 200 {
			return a, err
		}
	}
}

func parseHead(text string) (answer, error) {
	lines := strings.Split(text, "\r\n")
	words := strings.SplitN(lines[0], " ", 3)
	status := 0
	if len(words) > 1 && strings.HasPrefix(words[0], "HTTP/1.") {
		status, _ = strconv.Atoi(words[1])
	}
	if status < 100 {
		return answer{}, fmt.Errorf("no HTTP/1 answer: %q", lines[0])
	}
	a := answer{status: status, length: -1, closes: words[0] == "HTTP/1.0"}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return a, fmt.Errorf("wrong Content-Length: %q", value)
			}
			a.length = n
		case "location":
			a.location = value
		case "upload-offset":
			a.offset, _ = strconv.ParseInt(value, 10, 64)
		case "transfer-encoding":
			a.chunked = strings.EqualFold(value, "chunked")
		case "connection":
			a.closes = a.closes || strings.EqualFold(value, "close")
		}
	}
	if status == 204 {
		a.length = 0
	}
	a.closes = a.closes || (!a.chunked && a.length < 0)
	return a, nil
}

// body reads the whole body, hands each piece with its offset to use, and returns the length.
func (w *wire) body(a answer, use func(int64, []byte) error) (int64, error) {
	switch {
	case a.chunked:
		return w.chunkedBody(use)
	case a.length >= 0:
		return w.take(a.length, 0, use)
	}
	total := int64(0)
	for {
		n, err := w.take(int64(len(w.buf)), total, use)
		total += n
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (w *wire) chunkedBody(use func(int64, []byte) error) (int64, error) {
	total := int64(0)
	for {
		line, err := w.until("\r\n")
		if err != nil {
			return total, fmt.Errorf("no last chunk: %w", err)
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		if err != nil || size < 0 {
			return total, fmt.Errorf("wrong chunk size %q", line)
		}
		n, err := w.take(size, total, use)
		total += n
		if err != nil {
			return total, err
		}
		// An empty line ends a chunk, and the (unused) trailers after the last one.
		rest, err := w.until("\r\n")
		if err != nil {
			return total, fmt.Errorf("no end of a chunk: %w", err)
		}
		if rest != "" {
			return total, fmt.Errorf("%q where a chunk must end", rest)
		}
		if size == 0 {
			return total, nil
		}
	}
}

// take uses up the next n bytes, which lie at the given offset of the body.
func (w *wire) take(n, offset int64, use func(int64, []byte) error) (int64, error) {
	taken := int64(0)
	for taken < n {
		if w.from == w.to {
			err := w.fill()
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return taken, err
			}
		}
		piece := w.buf[w.from:w.to]
		if left := n - taken; int64(len(piece)) > left {
			piece = piece[:left]
		}
		if err := use(offset+taken, piece); err != nil {
			return taken, err
		}
		w.from += len(piece)
		taken += int64(len(piece))
	}
	return taken, nil
}
