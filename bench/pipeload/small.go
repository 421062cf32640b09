package main

import (
	"fmt"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// warmUp is the share of pairs that run before the clock starts.
const warmUp = 20

// worker moves one small key after the other, on connections of its own.
type worker struct {
	o              options
	name           string
	writer, reader *wire
	times          []time.Duration
}

// pairs moves small keys, some at once, each from one PUT to one GET.
func pairs(o options) (result, error) {
	out := result{"size": o.size, "pairs": o.count, "workers": o.workers, "keepalive": o.keepalive}
	out["first"] = o.first
	workers := make([]*worker, o.workers)
	run := newKey()
	for i := range workers {
		workers[i] = &worker{o: o, name: run + "-" + strconv.Itoa(i) + "-"}
	}
	if err := together(workers, 0, o.count/warmUp+o.workers); err != nil {
		return out, err
	}
	for _, w := range workers {
		w.times = w.times[:0]
	}
	m, err := startMeter(o.pid)
	if err != nil {
		return out, err
	}
	if err := together(workers, o.count, o.count); err != nil {
		return out, err
	}
	if err := m.stop(out, ""); err != nil {
		return out, err
	}
	out["pairs_per_s"] = float64(o.count) / out["seconds"].(float64)
	if cpu, ok := out["cpu_s"].(float64); ok {
		out["cpu_ms_per_pair"] = cpu * 1e3 / float64(o.count)
	}
	percentiles(workers, out)
	return out, nil
}

// together lets the workers share so many pairs; the numbers in the keys begin at first.
func together(workers []*worker, first, count int) error {
	var taken atomic.Int64
	done := make(chan error, len(workers))
	for _, w := range workers {
		go func(w *worker) {
			for {
				i := int(taken.Add(1)) - 1
				if i >= count {
					done <- nil
					return
				}
				if err := w.pair(w.name + strconv.Itoa(first+i)); err != nil {
					done <- fmt.Errorf("pair %d: %w", i, err)
					return
				}
			}
		}(w)
	}
	for range workers {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// pair moves one key. The reader asks first unless told otherwise; only then do servers
// work that hand over without keeping.
func (w *worker) pair(key string) error {
	began := time.Now()
	if w.o.first == "get" {
		if err := w.request(&w.reader, w.o.getHead(key)); err != nil {
			return err
		}
	}
	if err := w.request(&w.writer, w.o.smallPut(key)); err != nil {
		return err
	}
	if w.o.first == "put" {
		if err := w.answered(&w.writer, (*wire).stored); err != nil {
			return err
		}
		if err := w.request(&w.reader, w.o.getHead(key)); err != nil {
			return err
		}
	}
	err := w.answered(&w.reader, func(r *wire) (answer, error) { return r.received(w.o, key) })
	if err != nil {
		return err
	}
	if w.o.first == "get" {
		if err := w.answered(&w.writer, (*wire).stored); err != nil {
			return err
		}
	}
	w.times = append(w.times, time.Since(began))
	return nil
}

// smallPut is head and body in one piece, as they leave a client that writes both at once.
func (o options) smallPut(key string) []byte {
	request := o.putHead(key)
	p := patternOf(key, o.size)
	for offset := int64(0); offset < o.size; {
		piece := p.at(offset, blockLen)
		if o.chunked {
			request = append(strconv.AppendInt(request, int64(len(piece)), 16), "\r\n"...)
		}
		request = append(request, piece...)
		if o.chunked {
			request = append(request, "\r\n"...)
		}
		offset += int64(len(piece))
	}
	if o.chunked {
		request = append(request, "0\r\n\r\n"...)
	}
	return request
}

func (w *worker) request(slot **wire, data []byte) error {
	if *slot == nil {
		opened, err := dial(w.o, smallBuffer)
		if err != nil {
			return err
		}
		*slot = opened
	}
	return (*slot).send(data)
}

// answered reads one answer and drops the connection where it is at its end.
func (w *worker) answered(slot **wire, read func(*wire) (answer, error)) error {
	a, err := read(*slot)
	if err == nil && (a.closes || !w.o.keepalive) {
		(*slot).close()
		*slot = nil
	}
	return err
}

func percentiles(workers []*worker, out result) {
	var all []time.Duration
	for _, w := range workers {
		all = append(all, w.times...)
	}
	if len(all) == 0 {
		return
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	out["p50_ms"] = all[len(all)/2].Seconds() * 1e3
	out["p99_ms"] = all[len(all)*99/100].Seconds() * 1e3
}

// idle lets readers wait for keys that nobody writes, and says what each costs in memory.
func idle(o options) (result, error) {
	out := result{"waiting": o.count}
	first := &worker{o: o}
	if err := first.pair(newKey()); err != nil {
		return out, err
	}
	before, err := memoryKiB(o.pid, "VmRSS")
	if err != nil {
		return out, err
	}
	waiting := make([]*wire, o.count)
	key := newKey()
	for i := range waiting {
		if waiting[i], err = ask(o, key+"-"+strconv.Itoa(i), smallBuffer); err != nil {
			return out, err
		}
	}
	// The largest of a second: servers may answer waiting readers after few seconds.
	most := before
	for i := 0; i < 10; i++ {
		time.Sleep(settle)
		now, err := memoryKiB(o.pid, "VmRSS")
		if err != nil {
			return out, err
		}
		if now > most {
			most = now
		}
	}
	for i, w := range waiting {
		if err := w.silent(); err != nil {
			return out, fmt.Errorf("waiting reader %d: %w", i, err)
		}
	}
	out["idle_kib"] = before
	out["kib_per_reader"] = float64(most-before) / float64(o.count)
	return out, nil
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
