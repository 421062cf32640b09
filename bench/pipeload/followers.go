package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	followBuffer = 16 << 10 // small, as there are many: they stay in the processor's cache
	warmTime     = 2 * time.Second
	leave        = time.Second // how long a server gets to notice that followers have left
)

// audience is one appender, who sends so much a second, and those who follow.
type audience struct {
	o         options
	key       string
	body      pattern
	began     time.Time
	interval  time.Duration
	late      delays    // of the appender, behind its own plan
	phases    [3]delays // before somebody stops reading, until he is cut for certain, and then
	stop, cut time.Time
	members   []*member
	done      chan error
}

// member is one follower; received is how far it came.
type member struct {
	w        *wire
	socket   bool
	stops    bool
	received int64
}

// followers measures how long what is appended takes to each of many followers, and what each
// costs in memory. Each of them must get every byte, but for those that stop reading for a while:
// those must be cut, and find the rest at the offset to which they came.
func followers(o options) (result, error) {
	out := result{"size": o.size, "readers": o.readers, "sockets": o.sockets, "message": o.message,
		"stopped": o.stopped}
	if o.sockets > o.readers || o.stopped > o.readers || o.message < 1 || o.rate < 1 {
		return out, errors.New("-sockets and -stopped are some of -readers, -message and -rate positive")
	}
	warm := o
	warm.readers, warm.sockets, warm.stopped = 2, 1, 0
	warm.size = min(o.size, int64(o.rate*warmTime.Seconds()))
	if _, err := newAudience(warm).run(result{}); err != nil {
		return out, fmt.Errorf("warming up: %w", err)
	}
	a := newAudience(o)
	if last := a.planned(o.size); o.stopped > 0 && last <= a.quiet()+leave {
		return out, fmt.Errorf("all is sent in %s: who stops reading is not seen to be cut", last)
	}
	_, err := a.run(out)
	return out, err
}

func newAudience(o options) *audience {
	a := &audience{o: o, key: newKey(), done: make(chan error, o.readers+1)}
	a.body = patternOf(a.key, o.size)
	return a
}

// planned is when the message that begins at the offset is to be sent.
func (a *audience) planned(offset int64) time.Duration {
	return time.Duration(float64(offset) / a.o.rate * 1e9)
}

// quiet is until when somebody who stopped may not have been cut: a stalled reader is noticed
// within a quarter of the limit, after what fits into the buffers between.
func (a *audience) quiet() time.Duration { return a.o.stopAfter + a.o.stall*5/4 + 3*leave }

func (a *audience) run(out result) (result, error) {
	appender, err := upgrade(a.o, a.key, "?verb=APPEND&close"+a.o.suffix, "filepipe.append", followBuffer)
	if err != nil {
		return out, err
	}
	defer appender.close()
	if err := appender.upgraded(); err != nil {
		return out, err
	}
	if err := a.gather(out); err != nil {
		return out, err
	}
	m, err := startMeter(a.o.pid)
	if err != nil {
		return out, err
	}
	a.began = time.Now()
	a.stop, a.cut = a.began.Add(a.o.stopAfter), a.began.Add(a.quiet())
	for _, each := range a.members {
		go func(each *member) { a.done <- a.follow(each) }(each)
	}
	go func() { a.done <- a.append(appender) }()
	for i := 0; i < a.o.readers+1; i++ {
		if err := <-a.done; err != nil {
			return out, err
		}
	}
	if err := m.stop(out, ""); err != nil {
		return out, err
	}
	return out, a.report(out)
}

// gather lets the followers wait for the first byte, and says what each costs in memory then.
func (a *audience) gather(out result) error {
	idle, err := memoryKiB(a.o.pid, "VmRSS")
	if err != nil {
		return err
	}
	out["before_kib"] = idle
	for i := 0; i < a.o.readers; i++ {
		// the kinds take turns, and who stops comes first, so that those are of all kinds too
		socket := i*a.o.sockets/a.o.readers != (i+1)*a.o.sockets/a.o.readers
		each := &member{socket: socket, stops: i < a.o.stopped}
		if each.w, err = a.join(each.socket, 0); err != nil {
			return fmt.Errorf("follower %d: %w", i, err)
		}
		a.members = append(a.members, each)
	}
	peak, err := peakKiB(a.o.pid, idle)
	if a.o.pid != 0 {
		out["waiting_kib_per_follower"] = float64(peak-idle) / float64(a.o.readers)
	}
	return err
}

func (a *audience) join(socket bool, offset int64) (*wire, error) {
	from := "&offset=" + strconv.FormatInt(offset, 10)
	if socket {
		return upgrade(a.o, a.key, "?verb=FOLLOW"+from, a.o.subprotocol, followBuffer)
	}
	o := a.o
	o.suffix = "?follow" + from
	return ask(o, a.key, followBuffer)
}

// append sends what is planned when it is planned, and returns when all of it is acknowledged.
func (a *audience) append(w *wire) error {
	told := make(chan error, 1)
	go func() {
		end, err := w.acknowledged()
		if err == nil && end != a.o.size {
			err = fmt.Errorf("%d of %d bytes were acknowledged", end, a.o.size)
		}
		told <- err
	}()
	for offset := int64(0); offset < a.o.size; offset += a.o.message {
		due := a.began.Add(a.planned(offset))
		time.Sleep(time.Until(due))
		a.late.add(time.Since(due))
		size := min(a.o.message, a.o.size-offset)
		if err := w.sendMessage(a.body, offset, int(size)); err != nil {
			return fmt.Errorf("appending at %d: %w", offset, err)
		}
	}
	if err := w.sendClose(); err != nil {
		return err
	}
	return <-told
}

// follow reads all that a follower gets; who stops must be cut, all others get everything.
func (a *audience) follow(each *member) error {
	defer each.w.close()
	clean, err := a.read(each)
	switch {
	case each.stops && (clean || each.received >= a.o.size):
		return errors.New("who stopped reading was not cut")
	case each.stops && errors.Is(err, errWrong):
		return err
	case each.stops:
		return a.resume(each)
	case err != nil:
		return fmt.Errorf("a follower has %d of %d bytes: %w", each.received, a.o.size, err)
	case !clean || each.received != a.o.size:
		return fmt.Errorf("a follower was given %d of %d bytes", each.received, a.o.size)
	}
	return nil
}

var errWrong = errors.New("wrong")

// read takes what comes; whether the end was a clean one.
func (a *audience) read(each *member) (bool, error) {
	use := func(offset int64, data []byte) error { return a.got(each, offset, data) }
	if !each.socket {
		head, err := each.w.opened()
		if err == nil {
			_, err = each.w.body(head, use)
		}
		return err == nil, err
	}
	if err := each.w.upgraded(); err != nil {
		return false, err
	}
	_, code, err := each.w.messages(0, use)
	if err == nil && code != closedOK {
		err = fmt.Errorf("closed by %d", code)
	}
	return err == nil, err
}

// got compares bytes that came, and counts the messages that are whole by them.
func (a *audience) got(each *member, offset int64, data []byte) error {
	now := time.Now()
	if err := a.body.check(offset, data); err != nil {
		return fmt.Errorf("%w: %v", errWrong, err)
	}
	each.received = offset + int64(len(data))
	if each.stops {
		if now.After(a.stop) {
			time.Sleep(time.Until(a.cut))
		}
		return nil
	}
	for first := offset - offset%a.o.message; first < each.received; first += a.o.message {
		if end := min(first+a.o.message, a.o.size); end <= offset || end > each.received {
			continue
		}
		due := a.began.Add(a.planned(first))
		a.phase(due).add(now.Sub(due))
	}
	return nil
}

func (a *audience) phase(due time.Time) *delays {
	switch {
	case a.o.stopped == 0 || due.Before(a.stop):
		return &a.phases[0]
	case due.Before(a.cut):
		return &a.phases[1]
	}
	return &a.phases[2]
}

// resume goes on where a follower was cut, up to what was appended last.
func (a *audience) resume(each *member) error {
	w, err := a.join(false, each.received)
	if err != nil {
		return err
	}
	defer w.close()
	head, err := w.opened()
	if err != nil {
		return fmt.Errorf("going on at %d: %w", each.received, err)
	}
	from := each.received
	n, err := w.body(head, func(offset int64, data []byte) error {
		return a.body.check(from+offset, data)
	})
	if err == nil && from+n != a.o.size {
		err = fmt.Errorf("it ends at %d, not at %d", from+n, a.o.size)
	}
	if err != nil {
		return fmt.Errorf("going on at %d: %w", from, err)
	}
	return nil
}

// report adds the delays and the memory to the result.
func (a *audience) report(out result) error {
	a.late.put(out, "late_")
	a.phases[0].put(out, "")
	a.phases[1].put(out, "stopped_")
	a.phases[2].put(out, "after_")
	cuts := []int64{}
	for _, each := range a.members {
		if each.stops {
			cuts = append(cuts, each.received)
		}
	}
	out["cut_at"] = cuts
	if a.o.pid == 0 {
		return nil
	}
	time.Sleep(leave)
	after, err := memoryKiB(a.o.pid, "VmRSS")
	if err != nil {
		return err
	}
	before, each := out["before_kib"].(int64), float64(a.o.readers)
	out["kib_per_follower"] = float64(out["peak_kib"].(int64)-before) / each
	out["after_kib_per_follower"] = float64(after-before) / each
	return nil
}
