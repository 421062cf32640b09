module filepipe/bench/pipeload

go 1.21
