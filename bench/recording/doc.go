// Package recording plays recorded scrapes of real exporters as rows: it reads the recordings
// (*.rec.zst), and makes any number of targets of them, each with labels of its own and its own
// place in the recording.
//
// A recording is a zstd stream of frames. A frame is a scrape: 8 bytes Unix time in
// milliseconds and 4 bytes length, both big-endian, and that many bytes of the text format.
//
// What a [Target] yields is what a scrape of it would write: the series that a scrape lacks
// and the one before had get a staleness marker. Recordings are finite and played in a circle;
// the seam looks like a restart of the exporter.
//
// Recordings and targets are not changed after loading and can be read by any number of
// goroutines.
package recording
