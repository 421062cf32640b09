package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// head is that of a request with these fields ("Name: value").
func (o options) head(method, path string, fields []string, length int64) []byte {
	lines := []string{method + " " + path + " HTTP/1.1", "Host: " + o.addr}
	if o.apiKey != "" {
		lines = append(lines, "X-API-Key: "+o.apiKey)
	}
	lines = append(lines, fields...)
	lines = append(lines, "Content-Length: "+strconv.FormatInt(length, 10), "", "")
	return []byte(strings.Join(lines, "\r\n"))
}

// request sends one request with a body; its answer is to be read.
func (w *wire) request(o options, method, path string, fields []string, body pattern) error {
	if err := w.send(o.head(method, path, fields, body.size)); err != nil {
		return err
	}
	return w.sendBody(body, false)
}

// said reads the whole answer, which must have this status.
func (w *wire) said(what string, status int) (answer, []byte, error) {
	a, err := w.head()
	if err != nil {
		return a, nil, fmt.Errorf("%s got %w", what, err)
	}
	if a.status != status {
		return a, nil, w.refusal(what, a)
	}
	var text []byte
	_, err = w.body(a, func(_ int64, data []byte) error {
		text = append(text, data...)
		return nil
	})
	return a, text, err
}

// syncAll makes durable what the server has written below the folder.
func syncAll(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		return file.Sync()
	})
}

const resumable = "Tus-Resumable: 1.0.0"

// tus sends one upload by one PATCH; the time runs from its first byte until it is answered, and
// with -fsync until all files below that folder are on the disk.
func tus(o options) (result, error) {
	out := result{"size": o.size, "synced": o.fsync != ""}
	w, err := dial(o, smallBuffer)
	if err != nil {
		return out, err
	}
	defer w.close()
	length := "Upload-Length: " + strconv.FormatInt(o.size, 10)
	if err := w.request(o, "POST", o.prefix, []string{resumable, length}, pattern{}); err != nil {
		return out, err
	}
	made, _, err := w.said("the creation", 201)
	if err != nil {
		return out, err
	}
	place := pathOf(made.location)
	err = timed(o, out, "", func() error {
		fields := []string{
			resumable, "Upload-Offset: 0", "Content-Type: application/offset+octet-stream",
		}
		if err := w.request(o, "PATCH", place, fields, patternOf(place, o.size)); err != nil {
			return err
		}
		a, _, err := w.said("the PATCH", 204)
		if err == nil && a.offset != o.size {
			err = fmt.Errorf("the server has %d of %d bytes", a.offset, o.size)
		}
		if err == nil && o.fsync != "" {
			err = syncAll(o.fsync)
		}
		return err
	})
	if err != nil || !o.verify {
		return out, err
	}
	return out, o.readBack(place)
}

// readBack compares what the server gives of an upload.
func (o options) readBack(place string) error {
	w, err := dial(o, largeBuffer)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.request(o, "GET", place, nil, pattern{}); err != nil {
		return err
	}
	_, err = w.received(o, place)
	return err
}

// pathOf is the path of a URL, which may be one already.
func pathOf(url string) string {
	if _, rest, found := strings.Cut(url, "://"); found {
		_, path, _ := strings.Cut(rest, "/")
		return "/" + path
	}
	return url
}

// begun is what the server says of a new upload in parts.
type begun struct {
	ID    string `json:"file_id"`
	Size  int64  `json:"chunk_size"`
	Parts []struct {
		Token string `json:"token"`
	} `json:"parts"`
}

// begin makes an upload of o.count parts of o.size bytes.
func (o options) begin(w *wire) (begun, error) {
	var b begun
	asked, _ := json.Marshal(map[string]any{
		"filename": newKey(), "total_size": o.size * int64(o.count),
	})
	fields := []string{"Content-Type: application/json"}
	head := o.head("POST", o.prefix+"upload/init", fields, int64(len(asked)))
	if err := w.send(append(head, asked...)); err != nil {
		return b, err
	}
	_, text, err := w.said("the beginning", 200)
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err == nil && (b.Size != o.size || len(b.Parts) != o.count) {
		err = fmt.Errorf("the server wants %d parts of %d bytes", len(b.Parts), b.Size)
	}
	return b, err
}

// sendParts takes one part after the other from numbers.
func (o options) sendParts(b begun, numbers <-chan int, done chan<- error) {
	var w *wire
	for number := range numbers {
		var err error
		if w, err = o.sendPart(w, b, number); err != nil {
			done <- err
			return
		}
	}
	if w != nil {
		w.close()
	}
	done <- nil
}

// sendPart sends one part on the connection, or on a new one where there is none; it returns the
// connection if it can be used again.
func (o options) sendPart(w *wire, b begun, number int) (*wire, error) {
	if w == nil {
		var err error
		if w, err = dial(o, smallBuffer); err != nil {
			return nil, err
		}
	}
	path := fmt.Sprintf("%supload/%s/part/%d", o.prefix, b.ID, number)
	fields := []string{"Authorization: Bearer " + b.Parts[number].Token}
	if err := w.request(o, "PUT", path, fields, patternOf(path, o.size)); err != nil {
		return nil, err
	}
	a, _, err := w.said("a part", 200)
	if err != nil || !a.closes {
		return w, err
	}
	w.close()
	return nil, nil
}

// sendAll sends every part, o.workers at once.
func (o options) sendAll(b begun) error {
	numbers := make(chan int, o.count)
	for number := 0; number < o.count; number++ {
		numbers <- number
	}
	close(numbers)
	done := make(chan error, o.workers)
	for i := 0; i < o.workers; i++ {
		go o.sendParts(b, numbers, done)
	}
	for i := 0; i < o.workers; i++ {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// parts sends one upload in parts; with -dd as many processes of dd write the same bytes, before
// and after it.
func parts(o options) (result, error) {
	out := result{"size": o.size, "parts": o.count, "at_once": o.workers}
	w, err := dial(o, largeBuffer)
	if err != nil {
		return out, err
	}
	defer w.close()
	b, err := o.begin(w)
	if err != nil {
		return out, err
	}
	before, err := o.copied()
	if err != nil {
		return out, err
	}
	whole := o
	whole.size *= int64(o.count)
	if err := timed(whole, out, "", func() error { return o.sendAll(b) }); err != nil {
		return out, err
	}
	if peak, known := out["peak_kib"].(int64); known {
		out["peak_mib"] = float64(peak) / 1024
	}
	after, err := o.copied()
	if err == nil && o.dd != "" {
		seconds := (before + after).Seconds() / 2
		out["dd_gb_per_s"] = float64(whole.size) / 1e9 / seconds
		out["over_dd"] = seconds / out["seconds"].(float64)
	}
	return out, err
}

// complete sends one upload in parts, and times its end.
func complete(o options) (result, error) {
	out := result{"size": o.size, "parts": o.count}
	w, err := dial(o, largeBuffer)
	if err != nil {
		return out, err
	}
	b, err := o.begin(w)
	w.close() // the sending may take longer than the server keeps it
	if err == nil {
		err = o.sendAll(b)
	}
	if err != nil {
		return out, err
	}
	if w, err = dial(o, largeBuffer); err != nil {
		return out, err
	}
	defer w.close()
	m, err := startMeter(o.pid)
	if err != nil {
		return out, err
	}
	path := o.prefix + "upload/" + b.ID + "/complete"
	if err := w.request(o, "POST", path, nil, pattern{}); err != nil {
		return out, err
	}
	if _, _, err := w.said("the end", 200); err != nil {
		return out, err
	}
	err = m.stop(out, "")
	out["complete_ms"] = out["seconds"].(float64) * 1000
	return out, err
}

// copied is how long o.count processes of dd take for a part each, durably; 0 without -dd.
func (o options) copied() (time.Duration, error) {
	if o.dd == "" {
		return 0, nil
	}
	folder, err := os.MkdirTemp(o.dd, "dd-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	source := filepath.Join(folder, "source")
	if err := writeSource(source, o.size); err != nil {
		return 0, err
	}
	done := make(chan error, o.count)
	began := time.Now()
	for i := 0; i < o.count; i++ {
		target := filepath.Join(folder, strconv.Itoa(i))
		go func() {
			done <- exec.Command("dd", "if="+source, "of="+target, "bs=1M", "conv=fsync").Run()
		}()
	}
	for i := 0; i < o.count; i++ {
		if failed := <-done; failed != nil {
			err = fmt.Errorf("dd: %w", failed)
		}
	}
	return time.Since(began), err
}

// writeSource makes the file that dd reads, from the page cache.
func writeSource(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	body := patternOf(path, size)
	for offset := int64(0); offset < size; {
		n, err := file.Write(body.at(offset, blockLen))
		if err != nil {
			return err
		}
		offset += int64(n)
	}
	return file.Sync()
}
