package main

import (
	"fmt"
	"sort"
	"strconv"
	"sync/atomic"
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
	if len(all) > 0 {
		spread(all, out)
	}
}

// spread puts the middle, the 99th of 100 and the largest of the times into the result.
func spread(times []time.Duration, out result) {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	out["p50_ms"] = times[len(times)/2].Seconds() * 1e3
	out["p99_ms"] = times[len(times)*99/100].Seconds() * 1e3
	out["max_ms"] = times[len(times)-1].Seconds() * 1e3
}
