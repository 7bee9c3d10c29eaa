package promql

import (
	"sync"

	"github.com/prometheus/prometheus/promql/parser"
)

// parsedExpressions keeps syntax trees of expressions, since rules and dashboards ask
// the same for ever, and parsing is a third of a query of one series. A tree is not
// changed by those who have it. It can be used by any number of goroutines.
type parsedExpressions struct {
	parser parser.Parser
	// max is how many bytes of text are kept: a tree takes some fifty times as much.
	max int

	mu sync.Mutex
	// The following are guarded by mu. What is asked for moves to recent; when it
	// has half of the text, older is forgotten and recent becomes older.
	recent, older map[string]parser.Expr
	size, olds    int
}

// maxParsed is the text of expressions that an engine keeps trees of, and
// maxParsedExpression that of one.
const (
	maxParsed           = 256 << 10
	maxParsedExpression = 8 << 10
)

func newParsedExpressions(p parser.Parser, max int) *parsedExpressions {
	return &parsedExpressions{parser: p, max: max, recent: map[string]parser.Expr{}}
}

// of returns the tree of an expression, which is not to be changed, or what is wrong
// with it.
func (p *parsedExpressions) of(text string) (parser.Expr, error) {
	if tree := p.find(text); tree != nil {
		return tree, nil
	}
	tree, err := p.parser.ParseExpr(text)
	if err == nil && len(text) <= min(maxParsedExpression, p.max/2) {
		p.mu.Lock()
		p.keepLocked(text, tree)
		p.mu.Unlock()
	}
	return tree, err
}

func (p *parsedExpressions) find(text string) parser.Expr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tree := p.recent[text]; tree != nil {
		return tree
	}
	tree := p.older[text]
	if tree != nil {
		p.keepLocked(text, tree)
	}
	return tree
}

func (p *parsedExpressions) keepLocked(text string, tree parser.Expr) {
	if p.recent[text] != nil {
		return // another query was faster
	}
	if p.size+len(text) > p.max/2 {
		p.older, p.olds = p.recent, p.size
		p.recent, p.size = map[string]parser.Expr{}, 0
	}
	p.recent[text] = tree
	p.size += len(text)
}

// held is how many bytes of text are kept.
func (p *parsedExpressions) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size + p.olds
}
