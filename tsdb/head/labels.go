package head

import (
	"fmt"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// checkLabels returns an error that wraps storage.ErrInvalidLabels unless ls can
// be a series.
func checkLabels(ls labels.Labels) error {
	if ls.IsEmpty() {
		return fmt.Errorf("%w: it is empty", storage.ErrInvalidLabels)
	}
	if name, dup := ls.HasDuplicateLabelNames(); dup {
		return fmt.Errorf("%w: %s: label %q is there twice", storage.ErrInvalidLabels, ls, name)
	}
	return ls.Validate(func(l labels.Label) error {
		switch {
		case l.Name == "":
			return fmt.Errorf("%w: %s: a label has no name", storage.ErrInvalidLabels, ls)
		case l.Value == "":
			return fmt.Errorf("%w: %s: label %q has no value", storage.ErrInvalidLabels, ls, l.Name)
		case !utf8.ValidString(l.Name), !utf8.ValidString(l.Value):
			return fmt.Errorf("%w: label %q=%q is not UTF-8", storage.ErrInvalidLabels, l.Name, l.Value)
		}
		return nil
	})
}
