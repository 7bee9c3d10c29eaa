package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/web/api"
)

// queryPageTimeout bounds a query of the query page.
const queryPageTimeout = 30 * time.Second

// queryData is what the query page shows.
type queryData struct {
	pageFrame
	Expr     string
	Error    string
	Asked    bool
	Took     time.Duration
	Rows     []resultRow
	More     int
	Warnings []string
}

// resultRow is an element of a result.
type resultRow struct {
	Series, Value string
}

// queryPage serves /query: an expression and its value now. Links in alerts have
// the expression in g0.expr.
func (s *Server) queryPage(w http.ResponseWriter, r *http.Request) {
	data := queryData{pageFrame: s.frame(), Expr: r.FormValue("g0.expr")}
	status := http.StatusOK
	if strings.TrimSpace(data.Expr) != "" {
		data.Asked = true
		if err := s.ask(r, &data); err != nil {
			data.Error = err.Error()
			status = http.StatusBadRequest
		}
	}
	s.render(w, status, "query", data)
}

// ask evaluates the expression of the page.
func (s *Server) ask(r *http.Request, data *queryData) error {
	began := time.Now()
	res, err := s.api.Evaluate(r, data.Expr, data.Now, queryPageTimeout)
	if err != nil {
		return err
	}
	if res.Release != nil {
		defer res.Release()
	}
	data.Took = time.Since(began)
	warnings, infos := res.Annotations.AsStrings(data.Expr, 10, 10)
	data.Warnings = append(warnings, infos...)
	data.Rows, data.More = resultRows(res)
	return nil
}

// resultRows returns the first elements of a result and how many there are
// beyond.
func resultRows(res *api.Result) (rows []resultRow, more int) {
	switch res.Type {
	case parser.ValueTypeScalar:
		return []resultRow{{"scalar", formatValue(res.Scalar.F)}}, 0
	case parser.ValueTypeString:
		return []resultRow{{"string", res.String.V}}, 0
	case parser.ValueTypeVector:
		vector, more := firstRows(res.Vector, maxResultRows)
		for _, e := range vector {
			row := resultRow{Series: e.Metric.String(), Value: formatValue(e.F)}
			if e.H != nil {
				row.Value = e.H.String()
			}
			rows = append(rows, row)
		}
		return rows, more
	default:
		matrix, more := firstRows(res.Matrix, maxResultRows)
		for _, e := range matrix {
			rows = append(rows, resultRow{Series: e.Metric.String(), Value: pointsText(e)})
		}
		return rows, more
	}
}

// pointsText lists the points of a series, the newest ones of many.
func pointsText(s api.Series) string {
	const maxPoints = 20
	var b strings.Builder
	if skipped := len(s.Floats) - maxPoints; skipped > 0 {
		b.WriteString("… ")
		s.Floats = s.Floats[skipped:]
	}
	for _, p := range s.Floats {
		b.WriteString(formatValue(p.F) + " @" + strconv.FormatFloat(float64(p.T)/1000, 'f', -1, 64) + "\n")
	}
	if n := len(s.Histograms); n > 0 {
		b.WriteString(strconv.Itoa(n) + " histograms")
	}
	return b.String()
}

func formatValue(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
