package main

import (
	"errors"
	"fmt"
)

var errEnough = errors.New("that is all")

// fill writes one key, as it is told by -method, -suffix and -chunked.
func fill(o options) (result, error) {
	out := result{"size": o.size}
	if o.key == "" {
		return out, errors.New("-mode fill needs a -key")
	}
	return out, timed(o, out, "", func() error {
		w, err := dial(o, smallBuffer)
		if err != nil {
			return err
		}
		defer w.close()
		return put(o, w, o.key)
	})
}

// history is one follower who catches up with what is there, -size bytes of it, and leaves.
func history(o options) (result, error) {
	out := result{"size": o.size, "socket": o.sockets > 0}
	if o.key == "" {
		return out, errors.New("-mode history needs a -key")
	}
	if o.sockets > 0 {
		// only while somebody appends a WebSocket follows
		appender, err := upgrade(o, o.key, "?verb=APPEND", "filepipe.append", smallBuffer)
		if err != nil {
			return out, err
		}
		defer appender.close()
		if err := appender.upgraded(); err != nil {
			return out, err
		}
	}
	return out, timed(o, out, "", func() error { return catchUp(o) })
}

func catchUp(o options) error {
	came := int64(0)
	check := o.use(o.key)
	use := func(offset int64, data []byte) error {
		came = offset + int64(len(data))
		if err := check(offset, data); err != nil || came < o.size {
			return err
		}
		return errEnough
	}
	w, err := ask(o, o.key, largeBuffer)
	if o.sockets > 0 {
		w, err = upgrade(o, o.key, "?verb=FOLLOW", o.subprotocol, largeBuffer)
	}
	if err != nil {
		return err
	}
	defer w.close()
	if o.sockets > 0 {
		if err = w.upgraded(); err == nil {
			_, _, err = w.messages(0, use)
		}
	} else {
		var a answer
		if a, err = w.opened(); err == nil {
			_, err = w.body(a, use)
		}
	}
	if !errors.Is(err, errEnough) || came != o.size {
		return fmt.Errorf("the follower has %d of %d bytes (%v)", came, o.size, err)
	}
	return nil
}
