package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
)

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	closedOK = 1000
)

// upgrade opens a WebSocket at the key, with the query and the subprotocol if they are given.
func upgrade(o options, key, query, subprotocol string, buffer int) (*wire, error) {
	w, err := dial(o, buffer)
	if err != nil {
		return nil, err
	}
	o.suffix = query
	head := append(o.startOfHead("GET", key), "User-Agent: pipeload\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"...)
	if subprotocol != "" {
		head = append(head, "Sec-WebSocket-Protocol: "+subprotocol+"\r\n"...)
	}
	return w, w.send(append(head, "\r\n"...))
}

// upgraded reads the answer to the handshake, which must be 101.
func (w *wire) upgraded() error {
	text, err := w.until("\r\n\r\n")
	if err != nil {
		return fmt.Errorf("no answer to the handshake: %w", err)
	}
	a, err := parseHead(text)
	if err == nil && a.status != 101 {
		err = w.refusal("the handshake", a)
	}
	return err
}

// frameHead is the head of a whole message in one frame. The mask is zero, so that the bytes that
// follow can be those of the pattern; the server has to unmask them all the same.
func frameHead(op byte, size int) []byte {
	head := []byte{0x80 | op, 0x80}
	switch {
	case size < 126:
		head[1] |= byte(size)
	case size < 1<<16:
		head[1] |= 126
		head = binary.BigEndian.AppendUint16(head, uint16(size))
	default:
		head[1] |= 127
		head = binary.BigEndian.AppendUint64(head, uint64(size))
	}
	return append(head, 0, 0, 0, 0)
}

// sendMessage sends the bytes of the pattern at the offset as one message.
func (w *wire) sendMessage(p pattern, offset int64, size int) error {
	message := net.Buffers{frameHead(opBinary, size)}
	for sent := 0; sent < size; {
		piece := p.at(offset+int64(sent), size-sent)
		message = append(message, piece)
		sent += len(piece)
	}
	_, err := message.WriteTo(w.conn)
	return err
}

// sendClose says that the sender has finished.
func (w *wire) sendClose() error {
	return w.send(binary.BigEndian.AppendUint16(frameHead(opClose, 2), closedOK))
}

// need makes sure that n unused bytes are in the buffer.
func (w *wire) need(n int) error {
	for w.to-w.from < n {
		if err := w.fill(); err != nil {
			return err
		}
	}
	return nil
}

// frameStart reads the head of the next frame of a server.
func (w *wire) frameStart() (op byte, size int64, err error) {
	if err = w.need(2); err != nil {
		return 0, 0, err
	}
	op, size = w.buf[w.from]&0x0f, int64(w.buf[w.from+1])
	long := 0
	if size >= 126 {
		long = 2 << (2 * (size - 126)) // 2 or 8 bytes
	}
	if err = w.need(2 + long); err != nil {
		return 0, 0, err
	}
	if long > 0 {
		size = 0
		for _, b := range w.buf[w.from+2 : w.from+2+long] {
			size = size<<8 | int64(b)
		}
	}
	w.from += 2 + long
	return op, size, nil
}

// messages reads whole messages until the CLOSE, hands their bytes to use, the first at the
// offset, and returns where they end and the code of the CLOSE.
func (w *wire) messages(offset int64, use func(int64, []byte) error) (int64, int, error) {
	for {
		op, size, err := w.frameStart()
		if err != nil {
			return offset, 0, fmt.Errorf("no CLOSE: %w", err)
		}
		if op == opText || op == opBinary {
			n, err := w.take(size, offset, use)
			offset += n
			if err != nil {
				return offset, 0, err
			}
			continue
		}
		if err := w.need(int(size)); err != nil {
			return offset, 0, err
		}
		control := w.buf[w.from : w.from+int(size)]
		w.from += int(size)
		if op == opClose && size >= 2 {
			return offset, int(binary.BigEndian.Uint16(control)), nil
		}
	}
}

// told reads what an appender is told next: where the log ends on the disk, or that all is well and
// it is closed.
func (w *wire) told() (end int64, closed bool, err error) {
	for {
		op, size, err := w.frameStart()
		if err == nil {
			err = w.need(int(size))
		}
		if err != nil {
			return 0, false, fmt.Errorf("the appender was cut: %w", err)
		}
		text := w.buf[w.from : w.from+int(size)]
		w.from += int(size)
		switch {
		case op == opText && size > 11:
			end, err = strconv.ParseInt(string(text[10:size-1]), 10, 64) // {"offset":N}
			if err != nil {
				err = fmt.Errorf("the appender was told %q", text)
			}
			return end, false, err
		case op == opClose:
			if size < 2 || binary.BigEndian.Uint16(text) != closedOK {
				err = fmt.Errorf("the appender was closed: %q", text)
			}
			return 0, true, err
		}
	}
}

// acknowledged reads what an appender is told until the CLOSE, which must say that all is well,
// and returns the last offset.
func (w *wire) acknowledged() (int64, error) {
	last := int64(0)
	for {
		end, closed, err := w.told()
		if err != nil {
			return last, fmt.Errorf("after offset %d: %w", last, err)
		}
		if closed {
			return last, nil
		}
		last = end
	}
}
