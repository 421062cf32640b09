package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// group is how many messages a bare loop writes together: as many as may be in flight.
func (o options) group() []byte { return make([]byte, int64(o.workers)*o.size) }

// masked adds a message of n bytes of the body from an offset on.
func masked(to []byte, body pattern, offset, n int64) []byte {
	to = append(to, frameHead(opBinary, int(n))...)
	for end := offset + n; offset < end; {
		piece := body.at(offset, int(end-offset))
		to = append(to, piece...)
		offset += int64(len(piece))
	}
	return to
}

// appendAll sends o.count messages, of which o.workers at most are not acknowledged, and returns how
// many acknowledgements told of them.
func (o options) appendAll(w *wire, body pattern) (int, error) {
	acked := make(chan int64, o.count)
	failed := make(chan error, 1)
	go func() {
		for {
			offset, closed, err := w.told()
			if err == nil && closed {
				err = fmt.Errorf("the appender was closed")
			}
			if err != nil {
				failed <- err
				return
			}
			acked <- offset / o.size
			if offset >= body.size {
				return
			}
		}
	}()
	sent, known, answers := int64(0), int64(0), 0
	var batch []byte
	for known < int64(o.count) {
		batch = batch[:0]
		for sent < int64(o.count) && sent < known+int64(o.workers) {
			batch = masked(batch, body, sent*o.size, o.size)
			sent++
		}
		if len(batch) > 0 {
			if err := w.send(batch); err != nil {
				return answers, err
			}
		}
		select {
		case known = <-acked:
			answers++
		case err := <-failed:
			return answers, err
		}
	}
	return answers, nil
}

// appending sends messages over one WebSocket, a limited number in flight; with -bare the same bytes
// are written and flushed without a server, before and after it.
func appending(o options) (result, error) {
	out := result{"size": o.size, "messages": o.count, "in_flight": o.workers}
	bare, err := o.bareRate()
	if err != nil {
		return out, err
	}
	key := newKey()
	w, err := upgrade(o, key, "?verb=APPEND", "filepipe.append", smallBuffer)
	if err != nil {
		return out, err
	}
	defer w.close()
	if err := w.upgraded(); err != nil {
		return out, err
	}
	path := o.prefix + key
	body := patternOf(path, o.size*int64(o.count))
	m, err := startMeter(o.pid)
	if err != nil {
		return out, err
	}
	answers, err := o.appendAll(w, body)
	if err != nil {
		return out, err
	}
	if err := m.stop(out, ""); err != nil {
		return out, err
	}
	rate := float64(o.count) / out["seconds"].(float64)
	out["messages_per_s"] = rate
	out["per_answer"] = float64(o.count) / float64(answers)
	if cpu, ok := out["cpu_s"].(float64); ok {
		out["cpu_us_per_message"] = cpu * 1e6 / float64(o.count)
	}
	if o.bare != "" {
		again, err := o.bareRate()
		if err != nil {
			return out, err
		}
		out["bare_per_s"] = (bare + again) / 2
		out["over_bare"] = rate * 2 / (bare + again)
	}
	if o.verify {
		o.size = body.size
		return out, o.readBack(path)
	}
	return out, nil
}

// bareRate is how many messages per second a loop writes that does nothing else: as many as may be
// in flight with one write, then a flush. 0 without -bare.
func (o options) bareRate() (float64, error) {
	if o.bare == "" {
		return 0, nil
	}
	file, err := os.Create(filepath.Join(o.bare, newKey()))
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	group := o.group()
	began := time.Now()
	written := 0
	for ; written < o.count; written += o.workers {
		if _, err := file.Write(group); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(written) / time.Since(began).Seconds(), nil
}
