package main

import (
	"fmt"
	"time"
)

// settle is how long a server gets to see requests that are already sent.
const settle = 100 * time.Millisecond

// reading is one reader in its own goroutine; it reports once.
func reading(o options, w *wire, key string, done chan<- error) {
	_, err := w.received(o, key)
	w.close()
	done <- err
}

// ask opens one connection and sends a GET on it.
func ask(o options, key string, buffer int) (*wire, error) {
	w, err := dial(o, buffer)
	if err != nil {
		return nil, err
	}
	return w, w.send(o.getHead(key))
}

// askAll starts all readers of the key.
func askAll(o options, key string, done chan<- error) error {
	for i := 0; i < o.readers; i++ {
		w, err := ask(o, key, largeBuffer)
		if err != nil {
			return err
		}
		go reading(o, w, key, done)
	}
	return nil
}

// stream moves one key from a writer to readers while it is written. The time runs from the
// first byte written until writer and readers have everything.
func stream(o options) (result, error) {
	key := newKey()
	out := result{"size": o.size, "readers": o.readers, "chunked": o.chunked, "first": o.first}
	done := make(chan error, o.readers+1)
	if o.first == "get" {
		if err := askAll(o, key, done); err != nil {
			return out, err
		}
		time.Sleep(settle)
	}
	writer, err := dial(o, smallBuffer)
	if err != nil {
		return out, err
	}
	m, err := startMeter(o.pid)
	if err != nil {
		return out, err
	}
	go func() { done <- put(o, writer, key) }()
	if o.first == "put" {
		time.Sleep(settle / 10)
		if err := askAll(o, key, done); err != nil {
			return out, err
		}
	}
	for i := 0; i < o.readers+1; i++ {
		if err := <-done; err != nil {
			return out, err
		}
	}
	if err := m.stop(out, ""); err != nil {
		return out, err
	}
	rates(out, "", o.size)
	return out, nil
}

// late writes the key whole before anybody reads it, and times the two apart.
func late(o options) (result, error) {
	key := newKey()
	out := result{"size": o.size, "chunked": o.chunked}
	err := timed(o, out, "put_", func() error {
		w, err := dial(o, smallBuffer)
		if err != nil {
			return err
		}
		defer w.close()
		return put(o, w, key)
	})
	if err != nil {
		return out, err
	}
	return out, timed(o, out, "get_", func() error {
		w, err := ask(o, key, largeBuffer)
		if err != nil {
			return err
		}
		defer w.close()
		_, err = w.received(o, key)
		return err
	})
}

func timed(o options, out result, prefix string, work func() error) error {
	m, err := startMeter(o.pid)
	if err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	if err := m.stop(out, prefix); err != nil {
		return err
	}
	rates(out, prefix, o.size)
	return nil
}

// stuck writes one key to readers that take the head and then nothing, and says how much
// memory the server needs at most. With -verify they read the rest afterwards.
func stuck(o options) (result, error) {
	key := newKey()
	out := result{"size": o.size, "readers": o.readers, "chunked": o.chunked}
	m, err := startMeter(o.pid)
	if err != nil {
		return out, err
	}
	stopped, err := askStuck(o, key)
	if err != nil {
		return out, err
	}
	time.Sleep(settle)
	writer, err := dial(o, smallBuffer)
	if err != nil {
		return out, err
	}
	written := make(chan error, 1)
	go func() { written <- put(o, writer, key) }()
	heads := make([]answer, len(stopped))
	for i, w := range stopped {
		if heads[i], err = w.opened(); err != nil {
			return out, err
		}
	}
	if err := <-written; err != nil {
		return out, err
	}
	if err := m.stop(out, ""); err != nil {
		return out, err
	}
	if o.pid != 0 {
		out["above_idle_mib"] = float64(out["peak_kib"].(int64)-m.idleKiB) / 1024
	}
	return out, o.restOfAll(stopped, heads, key)
}

// askStuck starts readers whose own side of the connection holds little.
func askStuck(o options, key string) ([]*wire, error) {
	var all []*wire
	for i := 0; i < o.readers; i++ {
		w, err := ask(o, key, smallBuffer)
		if err != nil {
			return nil, err
		}
		if err := w.conn.SetReadBuffer(64 << 10); err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func (o options) restOfAll(stopped []*wire, heads []answer, key string) error {
	if !o.verify {
		return nil
	}
	for i, w := range stopped {
		if err := w.rest(o, heads[i], key); err != nil {
			return fmt.Errorf("reader %d: %w", i, err)
		}
	}
	return nil
}
