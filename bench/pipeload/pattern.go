package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
)

// The bytes of all bodies come from one block, over and over. Its length is a prime, so that
// a piece of 2^n bytes at a wrong place shows, and each key starts elsewhere in it, so that
// the bytes of another key show too.
const blockLen = 1048573

var block = makeBlock()

func makeBlock() []byte {
	b := make([]byte, blockLen)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// pattern is the body of one key.
type pattern struct {
	start int64
	size  int64
}

func patternOf(key string, size int64) pattern {
	h := fnv.New32a()
	h.Write([]byte(key))
	return pattern{start: int64(h.Sum32() % blockLen), size: size}
}

// at returns the bytes that begin at the offset: at least one before the end, at most n.
func (p pattern) at(offset int64, n int) []byte {
	from := (p.start + offset) % blockLen
	to := from + int64(n)
	if to > blockLen {
		to = blockLen
	}
	if left := p.size - offset; to-from > left {
		to = from + left
	}
	return block[from:to]
}

// check says at which offset the data, read at the given offset, is wrong.
func (p pattern) check(offset int64, data []byte) error {
	for len(data) > 0 {
		want := p.at(offset, len(data))
		if len(want) == 0 {
			return fmt.Errorf("bytes beyond the end at %d", p.size)
		}
		if !bytes.Equal(want, data[:len(want)]) {
			return fmt.Errorf("wrong bytes between %d and %d", offset, offset+int64(len(want)))
		}
		offset += int64(len(want))
		data = data[len(want):]
	}
	return nil
}
