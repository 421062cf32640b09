package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
)

// newKey returns a key that no earlier run has used.
func newKey() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	return "b" + hex.EncodeToString(b)
}

func (o options) startOfHead(method, key string) []byte {
	b := make([]byte, 0, 256)
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, o.prefix...)
	b = append(b, key...)
	b = append(b, o.suffix...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, o.addr...)
	b = append(b, "\r\n"...)
	if !o.keepalive {
		b = append(b, "Connection: close\r\n"...)
	}
	return b
}

func (o options) getHead(key string) []byte {
	return append(o.startOfHead("GET", key), "\r\n"...)
}

func (o options) putHead(key string) []byte {
	b := o.startOfHead(o.method, key)
	if o.chunked {
		return append(b, "Transfer-Encoding: chunked\r\n\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, o.size, 10)
	return append(b, "\r\n\r\n"...)
}

// put writes one key and waits for the server's final word.
func put(o options, w *wire, key string) error {
	err := w.send(o.putHead(key))
	if err == nil {
		err = w.sendBody(patternOf(key, o.size), o.chunked)
	}
	if err != nil {
		// The server may have said why it hung up.
		if _, refusal := w.stored(); refusal != nil {
			return fmt.Errorf("%w (%v)", err, refusal)
		}
		return err
	}
	_, err = w.stored()
	return err
}

// stored reads the whole answer to a write, which must be a success.
func (w *wire) stored() (answer, error) {
	a, err := w.head()
	if err != nil {
		return a, fmt.Errorf("the writer got %w", err)
	}
	if a.status > 299 {
		return a, w.refusal("the writer", a)
	}
	if _, err = w.body(a, ignore); err != nil {
		err = fmt.Errorf("the writer's answer broke off: %w", err)
	}
	return a, err
}

// received reads the whole answer to a GET, which must be every byte of the key.
func (w *wire) received(o options, key string) (answer, error) {
	a, err := w.opened()
	if err != nil {
		return a, err
	}
	return a, w.rest(o, a, key)
}

// opened reads the head of the answer to a GET, which must be a success.
func (w *wire) opened() (answer, error) {
	a, err := w.head()
	if err != nil {
		return a, fmt.Errorf("the reader got %w", err)
	}
	if a.status != 200 {
		return a, w.refusal("the reader", a)
	}
	return a, nil
}

// rest reads the body that belongs to the head.
func (w *wire) rest(o options, a answer, key string) error {
	return w.restWith(o, a, o.use(key))
}

// use is what happens to the bytes of the key.
func (o options) use(key string) func(int64, []byte) error {
	if o.verify {
		return patternOf(key, o.size).check
	}
	return ignore
}

// restWith reads the body that belongs to the head and hands its pieces to use.
func (w *wire) restWith(o options, a answer, use func(int64, []byte) error) error {
	n, err := w.body(a, use)
	if err != nil {
		return fmt.Errorf("the reader has %d of %d bytes: %w", n, o.size, err)
	}
	if n != o.size {
		return fmt.Errorf("the reader was given %d of %d bytes", n, o.size)
	}
	return nil
}

func ignore(int64, []byte) error { return nil }

// refusal is the error for a wrong status, with the beginning of the server's words.
func (w *wire) refusal(who string, a answer) error {
	var words []byte
	_, _ = w.body(a, func(_ int64, data []byte) error {
		words = append(words, data...)
		if len(words) > 200 {
			return fmt.Errorf("enough")
		}
		return nil
	})
	if len(words) > 200 {
		words = words[:200]
	}
	return fmt.Errorf("%s got status %d: %q", who, a.status, words)
}
