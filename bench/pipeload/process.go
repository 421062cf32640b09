package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of /proc/PID/stat, the same on all Linux machines of today.
const ticksPerSecond = 100

// processes is the server as the kernel sees it: a process and all that it started.
// Without a pid all numbers are 0.
func processes(pid int) []int {
	if pid == 0 {
		return nil
	}
	found := []int{pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				found = append(found, processes(child)...)
			}
		}
	}
	return found
}

// cpuSeconds sums user and system time; children that have ended count by their parent.
func cpuSeconds(pid int) (float64, error) {
	total := 0.0
	for _, p := range processes(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			return 0, fmt.Errorf("the server is gone: %w", err)
		}
		// The name in brackets may hold anything; what follows it is plain numbers.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 15 || fields[0] == "Z" {
			return 0, fmt.Errorf("process %d has ended", p)
		}
		for _, field := range fields[11:15] {
			ticks, _ := strconv.ParseFloat(field, 64)
			total += ticks / ticksPerSecond
		}
	}
	return total, nil
}

// memoryKiB sums one line of /proc/PID/status: VmRSS (now) or VmHWM (peak).
func memoryKiB(pid int, name string) (int64, error) {
	total := int64(0)
	for _, p := range processes(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			return 0, fmt.Errorf("the server is gone: %w", err)
		}
		_, line, _ := strings.Cut(string(text), "\n"+name+":")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			return 0, fmt.Errorf("process %d has no %s", p, name)
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process %d: %s: %w", p, name, err)
		}
		total += kib
	}
	return total, nil
}

// forgetPeak lets VmHWM start again from what is resident now.
func forgetPeak(pid int) error {
	for _, p := range processes(pid) {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p), []byte("5"), 0); err != nil {
			return fmt.Errorf("cannot reset the peak memory: %w", err)
		}
	}
	return nil
}

// meter remembers how things stood when a measurement began.
type meter struct {
	pid     int
	began   time.Time
	cpu     float64
	idleKiB int64
}

func startMeter(pid int) (meter, error) {
	if err := forgetPeak(pid); err != nil {
		return meter{}, err
	}
	idle, err := memoryKiB(pid, "VmRSS")
	if err != nil {
		return meter{}, err
	}
	cpu, err := cpuSeconds(pid)
	return meter{pid: pid, began: time.Now(), cpu: cpu, idleKiB: idle}, err
}

// stop puts seconds, CPU and memory into the result, each name after the prefix.
func (m meter) stop(out result, prefix string) error {
	seconds := time.Since(m.began).Seconds()
	cpu, err := cpuSeconds(m.pid)
	if err != nil {
		return err
	}
	peak, err := memoryKiB(m.pid, "VmHWM")
	if err != nil {
		return err
	}
	out[prefix+"seconds"] = seconds
	if m.pid != 0 {
		out[prefix+"cpu_s"] = cpu - m.cpu
		out[prefix+"idle_kib"] = m.idleKiB
		out[prefix+"peak_kib"] = peak
	}
	return nil
}

// rates adds what the seconds and the CPU mean for so many bytes (1 GB is 10^9 bytes).
func rates(out result, prefix string, size int64) {
	gigabytes := float64(size) / 1e9
	out[prefix+"gb_per_s"] = gigabytes / out[prefix+"seconds"].(float64)
	if cpu, ok := out[prefix+"cpu_s"].(float64); ok && size > 0 {
		out[prefix+"cpu_s_per_gb"] = cpu / gigabytes
	}
}
