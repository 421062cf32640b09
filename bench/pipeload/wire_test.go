package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// serve answers one connection with the text, some bytes at a time, and hangs up.
func serve(t *testing.T, text string, step int) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for len(text) > 0 {
			n := step
			if n > len(text) {
				n = len(text)
			}
			if _, err := conn.Write([]byte(text[:n])); err != nil {
				return
			}
			text = text[n:]
		}
	}()
	o := options{addr: listener.Addr().String(), deadline: time.Now().Add(10 * time.Second)}
	w, err := dial(o, 256)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func body(size int64) string { return string(patternOf("k", size).at(0, int(size))) }

// Every framing gives the bytes of the key, however the pieces arrive.
func TestReceived(t *testing.T) {
	o := options{size: 6, verify: true}
	six := body(6)
	answers := map[string]string{
		"length":  "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n" + six,
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n" + six[:2] + "\r\n4;a=b\r\n" + six[2:] + "\r\n0\r\n\r\n",
		"close":   "HTTP/1.0 200 OK\r\n\r\n" + six,
		"interim": "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n" + six,
	}
	for name, text := range answers {
		for _, step := range []int{1, 7, len(text)} {
			if _, err := serve(t, text, step).received(o, "k"); err != nil {
				t.Errorf("%s by %d: %v", name, step, err)
			}
		}
	}
}

// A body that is cut, short, long, wrong or refused is an error that says so.
func TestReceivedWithFault(t *testing.T) {
	o := options{size: 6, verify: true}
	six := body(6)
	faults := []struct{ text, says string }{
		{"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n" + six[:5], "5 of 6 bytes"},
		{"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + six[:5], "given 5 of 6 bytes"},
		{"HTTP/1.0 200 OK\r\n\r\n" + six[:5], "given 5 of 6 bytes"},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n" + six + "\r\n", "no last chunk"},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n" + six + "xx\r\n", "where a chunk must end"},
		{"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n" + six + "x", "bytes beyond the end"},
		{"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef", "wrong bytes"},
		{"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone", `status 404: "gone"`},
		{"HTTP/1.1 200 OK\r\n", "no answer"},
		{"SSH-2.0-x\r\n\r\n", "no HTTP/1 answer"},
	}
	for _, fault := range faults {
		_, err := serve(t, fault.text, len(fault.text)).received(o, "k")
		if err == nil || !strings.Contains(err.Error(), fault.says) {
			t.Errorf("%q: %v, not %q", fault.text, err, fault.says)
		}
	}
}

// The pattern is the same in pieces of any length, over the end of the block too.
func TestPattern(t *testing.T) {
	p := pattern{start: blockLen - 3, size: 10}
	var pieces []byte
	for int64(len(pieces)) < p.size {
		pieces = append(pieces, p.at(int64(len(pieces)), 4)...)
	}
	if err := p.check(0, pieces); err != nil {
		t.Error(err)
	}
	if err := p.check(3, pieces[3:8]); err != nil {
		t.Error(err)
	}
	pieces[9]++
	if err := p.check(3, pieces[3:]); err == nil {
		t.Error("a wrong last byte passed")
	}
}
