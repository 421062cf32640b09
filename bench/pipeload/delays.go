package main

import (
	"sync/atomic"
	"time"
)

const (
	delayUnit = 100 * time.Microsecond
	delayMost = 100_000 // units: what took longer counts as this long
)

// delays is how often each delay was seen; any number of goroutines may add.
type delays struct {
	counts [delayMost + 1]atomic.Uint32
	total  atomic.Int64
}

func (d *delays) add(took time.Duration) {
	unit := took / delayUnit
	if unit > delayMost {
		unit = delayMost
	}
	if unit < 0 {
		unit = 0
	}
	d.counts[unit].Add(1)
	d.total.Add(1)
}

// at is the delay in ms below which the share of all is.
func (d *delays) at(share float64) float64 {
	wanted, seen := int64(share*float64(d.total.Load())), int64(0)
	last := 0
	for unit := range d.counts {
		if n := int64(d.counts[unit].Load()); n > 0 {
			seen, last = seen+n, unit
			if seen > wanted {
				break
			}
		}
	}
	return (time.Duration(last) * delayUnit).Seconds() * 1e3
}

// put adds the numbers to the result, each name after the prefix; nothing where none was seen.
func (d *delays) put(out result, prefix string) {
	if d.total.Load() == 0 {
		return
	}
	out[prefix+"p50_ms"] = d.at(0.5)
	out[prefix+"p99_ms"] = d.at(0.99)
	out[prefix+"max_ms"] = d.at(1)
}
