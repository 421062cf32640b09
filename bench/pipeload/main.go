// Pipeload drives an HTTP pipe server from outside and prints one line of JSON about it.
//
// It opens its own TCP connections, so that the load costs little beside the server that it
// measures, and it fails (exit 1, "error" in the line) as soon as one byte is missing.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"time"
)

// options is what the command line says.
type options struct {
	addr, method, first              string
	prefix, suffix                   string
	mode                             string
	pid                              int
	size                             int64
	readers, count, workers, senders int
	chunked, keepalive, verify       bool
	apiKey, fsync, dd, bare          string
	key, subprotocol                 string
	sockets, stopped                 int
	message                          int64
	rate                             float64
	stopAfter, stall                 time.Duration
	timeout                          time.Duration

	deadline time.Time
}

// result becomes the line of JSON; its keys are listed in bench/README.md.
type result map[string]any

// mode is one way to load the server, with what it does when a number is not given.
type mode struct {
	run     func(options) (result, error)
	size    int64
	readers int
	count   int
}

var modes = map[string]mode{
	"stream":    {run: stream, size: 1 << 30, readers: 1},
	"late":      {run: late, size: 1 << 30},
	"pairs":     {run: pairs, size: 1 << 10, count: 6000},
	"idle":      {run: idle, size: 1 << 10, count: 500},
	"stuck":     {run: stuck, size: 1 << 30, readers: 8},
	"waiting":   {run: waiting, size: 1 << 10, count: 5000},
	"tus":       {run: tus, size: 1 << 30},
	"parts":     {run: parts, size: 50 << 20, count: 8},
	"complete":  {run: complete, size: 50 << 20, count: 8},
	"fill":      {run: fill, size: 1 << 30},
	"history":   {run: history, size: 1 << 30},
	"followers": {run: followers, size: 100_000_000, readers: 200},
	"append":    {run: appending, size: 1 << 10, count: 100000},
}

func modeNames() string {
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:3000", "where the server listens")
	flag.IntVar(&o.pid, "pid", 0, "the server's process; 0 measures neither CPU nor memory")
	flag.StringVar(&o.mode, "mode", "stream", modeNames())
	flag.Int64Var(&o.size, "size", 0, "bytes of a body or part (0: 1 GiB where one is moved, 50 MiB a part, else 1024)")
	flag.IntVar(&o.readers, "readers", 0, "readers of the key (0: 1 in stream, 8 in stuck)")
	flag.IntVar(&o.count, "n", 0, "pairs, readers in idle and waiting, parts, messages (0: 6000, 500, 5000, 8, 100000)")
	flag.IntVar(&o.workers, "c", 16, "pairs or parts that run at once, messages in flight")
	flag.IntVar(&o.senders, "senders", 500, "of the readers in waiting, how many are sent to")
	flag.StringVar(&o.method, "method", "PUT", "the writer's method")
	flag.StringVar(&o.prefix, "prefix", "/", "the path before the key")
	flag.StringVar(&o.suffix, "suffix", "", "what follows the key, as ?n=4")
	flag.StringVar(&o.first, "first", "get", "who comes first in stream and pairs: get, put")
	flag.BoolVar(&o.chunked, "chunked", false, "write without a Content-Length")
	flag.BoolVar(&o.keepalive, "keepalive", true, "keep connections in pairs where the server does")
	flag.BoolVar(&o.verify, "verify", false, "compare every byte that is read")
	flag.StringVar(&o.apiKey, "apikey", "", "the API key of uploads")
	flag.StringVar(&o.fsync, "fsync", "", "sync what is below this folder before tus has its time")
	flag.StringVar(&o.dd, "dd", "", "write the same as parts with dd in this folder, besides")
	flag.StringVar(&o.bare, "bare", "", "write the same as append in this folder, besides")
	flag.StringVar(&o.key, "key", "", "the key in fill and history")
	flag.IntVar(&o.sockets, "sockets", 0, "of the readers in followers and history, how many are WebSockets")
	flag.StringVar(&o.subprotocol, "subprotocol", "", "what WebSockets that follow ask for")
	flag.Int64Var(&o.message, "message", 16<<10, "bytes of a message in followers")
	flag.Float64Var(&o.rate, "rate", 10e6, "bytes a second that are appended in followers")
	flag.IntVar(&o.stopped, "stopped", 0, "of the readers in followers, how many stop reading")
	flag.DurationVar(&o.stopAfter, "stop-after", 5*time.Second, "when they stop")
	flag.DurationVar(&o.stall, "stall", time.Minute, "the server's limit for who takes nothing")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Minute, "the whole run may take this long")
	flag.Parse()
	return o
}

// complete fills in the mode's own numbers and refuses what makes no sense.
func (o *options) complete() error {
	m, known := modes[o.mode]
	if !known {
		return fmt.Errorf("no mode %q; there are %s", o.mode, modeNames())
	}
	if o.first != "get" && o.first != "put" {
		return fmt.Errorf("-first is get or put, not %q", o.first)
	}
	if o.size == 0 {
		o.size = m.size
	}
	if o.readers == 0 {
		o.readers = m.readers
	}
	if o.count == 0 {
		o.count = m.count
	}
	if o.size < 0 || o.readers < 0 || o.count < 0 || o.workers < 1 {
		return fmt.Errorf("-size, -readers, -n and -c are positive numbers")
	}
	if o.senders < 1 || (o.mode == "waiting" && o.senders > o.count) {
		return fmt.Errorf("-senders is at least 1 and at most -n")
	}
	o.deadline = time.Now().Add(o.timeout)
	return nil
}

func measure(o *options) (result, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	return modes[o.mode].run(*o)
}

func main() {
	o := parseOptions()
	out, err := measure(&o)
	if out == nil {
		out = result{}
	}
	out["mode"] = o.mode
	if err != nil {
		out["error"] = err.Error()
	}
	for name, value := range out {
		if f, ok := value.(float64); ok {
			out[name] = math.Round(f*1e5) / 1e5
		}
	}
	line, _ := json.Marshal(out)
	fmt.Println(string(line))
	if err != nil {
		os.Exit(1)
	}
}
