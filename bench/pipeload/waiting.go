package main

import (
	"fmt"
	"strconv"
	"syscall"
	"time"
)

const (
	sample = 100 * time.Millisecond
	calm   = 10  // samples without a new peak: all readers have arrived
	most   = 100 // samples at most
)

// crowd is many readers that wait, each for a key of its own.
type crowd struct {
	o       options
	key     string
	readers []*wire // nil where the reader has been served
}

// gather lets so many readers wait, and says what each costs in memory.
func gather(o options, out result) (crowd, error) {
	c := crowd{o: o, key: newKey() + "-", readers: make([]*wire, o.count)}
	first := &worker{o: o}
	if err := first.pair(newKey()); err != nil {
		return c, err
	}
	before, err := memoryKiB(o.pid, "VmRSS")
	if err != nil {
		return c, err
	}
	for i := range c.readers {
		if c.readers[i], err = ask(o, c.keyOf(i), smallBuffer); err != nil {
			return c, fmt.Errorf("waiting reader %d: %w", i, err)
		}
	}
	peak, err := peakKiB(o.pid, before)
	if err != nil {
		return c, err
	}
	out["waiting"] = o.count
	out["idle_kib"] = before
	out["kib_per_reader"] = float64(peak-before) / float64(o.count)
	return c, nil
}

// peakKiB watches the memory until a second brings nothing larger: a loaded server still
// takes requests in after they were sent, and others answer waiting readers after few seconds.
func peakKiB(pid int, peak int64) (int64, error) {
	for i, since := 0, 0; i < most && since < calm; i++ {
		time.Sleep(sample)
		now, err := memoryKiB(pid, "VmRSS")
		if err != nil {
			return 0, err
		}
		since++
		if now > peak {
			peak, since = now, 0
		}
	}
	return peak, nil
}

func (c crowd) keyOf(i int) string { return c.key + strconv.Itoa(i) }

// allSilent makes sure that whoever was not served still waits.
func (c crowd) allSilent() error {
	for i, w := range c.readers {
		if w == nil {
			continue
		}
		if err := w.silent(); err != nil {
			return fmt.Errorf("waiting reader %d: %w", i, err)
		}
	}
	return nil
}

// idle lets readers wait for keys that nobody writes, and says what each costs in memory.
func idle(o options) (result, error) {
	out := result{}
	c, err := gather(o, out)
	if err != nil {
		return out, err
	}
	return out, c.allSilent()
}

// waiting is idle, and then senders come for some of the readers, one after the other. It says
// how long each takes from its first packet until the first byte is with its reader.
func waiting(o options) (result, error) {
	out := result{"senders": o.senders}
	c, err := gather(o, out)
	if err != nil {
		return out, err
	}
	times := make([]time.Duration, o.senders)
	for i := range times {
		// Evenly over the crowd: neither only the first nor only the last to come.
		at := i * o.count / o.senders
		if times[i], err = c.serve(at); err != nil {
			return out, fmt.Errorf("waiting reader %d: %w", at, err)
		}
	}
	spread(times, out)
	return out, c.allSilent()
}

// serve sends to one waiting reader on a new connection; gives the time to the first byte.
func (c crowd) serve(at int) (time.Duration, error) {
	key, reader := c.keyOf(at), c.readers[at]
	c.readers[at] = nil
	defer reader.close()
	if err := reader.silent(); err != nil {
		return 0, err
	}
	began := time.Now()
	writer, err := dial(c.o, smallBuffer)
	if err != nil {
		return 0, err
	}
	defer writer.close()
	if err := writer.send(c.o.smallPut(key)); err != nil {
		return 0, err
	}
	a, err := reader.opened()
	if err != nil {
		return 0, err
	}
	var took time.Duration
	check := c.o.use(key)
	err = reader.restWith(c.o, a, func(offset int64, data []byte) error {
		if offset == 0 {
			took = time.Since(began)
		}
		return check(offset, data)
	})
	if err != nil {
		return 0, err
	}
	_, err = writer.stored()
	return took, err
}

// silent makes sure that the server has neither answered nor hung up.
func (w *wire) silent() error {
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var peeked error
	err = raw.Read(func(fd uintptr) bool {
		one := make([]byte, 1)
		n, _, peeked = syscall.Recvfrom(int(fd), one, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	if err != nil {
		return err
	}
	if peeked == syscall.EAGAIN {
		return nil
	}
	if peeked == nil && n > 0 {
		_, err := w.opened()
		return fmt.Errorf("it was answered (%v)", err)
	}
	return fmt.Errorf("the server hung up (%v)", peeked)
}
