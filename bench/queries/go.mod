module github.com/gnomonhq/gnomon/bench/queries

go 1.26.8
