// Package vfs is the door between the storage engine and the disk.
//
// Everything durable that the engine does goes through an FS, so that a test can
// put another disk behind it:
//
//   - OS is the machine's file system.
//   - Mem keeps files in memory and remembers what was synced. CrashClone gives the
//     state a power loss would leave behind: unsynced data and unsynced directory
//     entries are gone.
//   - Fail wraps another FS and makes the n-th operation of a kind fail, or tears a
//     write in the middle.
//
// # Durability contract
//
// A write is acknowledged to the operating system when Write returns: it survives the
// death of the process. It survives a power loss only after File.Sync. A name (a created,
// renamed, linked or removed entry) survives a power loss only after SyncDir of the
// directory that holds it; this is so for directories made by MkdirAll, too. The helpers
// WriteFileAtomic, WriteAtomic and MkdirAllSync do these steps in the right order, and
// nothing else in the module should spell them out.
//
// # What it is not
//
// It is no general file system abstraction: files are written front to back (append and
// truncate only), read at offsets or mapped, and there are no permissions, links other
// than hard links, or working directory.
//
// # Concurrency
//
// An FS may be used from any number of goroutines. A File may be read (ReadAt, Size) from
// any number of goroutines while one goroutine writes; Sync may run beside Write.
package vfs
