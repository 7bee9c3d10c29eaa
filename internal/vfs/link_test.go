package vfs

import (
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinkOrCopy(t *testing.T) {
	for _, no := range []error{nil, syscall.EXDEV, syscall.EPERM, syscall.EMLINK} {
		f := NewFail(NewMem())
		require.NoError(t, WriteFileAtomic(f, "a", []byte("content")))
		if no != nil {
			f.Arm(Rule{Kinds: OpLink, Err: no, Sticky: true})
		}
		require.NoError(t, LinkOrCopy(f, "a", "b"))
		requireContent(t, f, "b", "content")
		require.NoError(t, WriteFileAtomic(f, "a", []byte("another")))
		requireContent(t, f, "b", "content")
	}
	f := NewFail(NewMem())
	require.ErrorIs(t, LinkOrCopy(f, "a", "b"), fs.ErrNotExist)
	require.NoError(t, WriteFileAtomic(f, "a", nil))
	f.Arm(Rule{Kinds: OpLink, Err: syscall.ENOSPC})
	require.ErrorIs(t, LinkOrCopy(f, "a", "b"), syscall.ENOSPC, "another error is not one of linking")
}
