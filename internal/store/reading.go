package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// reading is a read transaction, all of whose statements see one moment.
type reading interface {
	// query hands each row to scan. The text has the parameters in order of their numbers.
	query(ctx context.Context, text string, args []any, scan func(*row) error) error
	// begin begins a statement whose rows fetch then hands over, n at a time, between others.
	begin(ctx context.Context, text string, args []any) error
	fetch(ctx context.Context, n int, scan func(*row) error) error
}

// readings are connections for readings.
type readings interface {
	atOneMoment(ctx context.Context, do func(reading) error) error
}

// atOneMoment implements readings, on PostgreSQL.
func (p postgresPool) atOneMoment(ctx context.Context, do func(reading) error) error {
	return onLiveConnection(ctx, p.DB, func(conn *pgx.Conn, live func()) error {
		defer rollBack(ctx, conn) //nolint:errcheck // it only reads
		if _, err := conn.Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`); err != nil {
			return err
		}
		live()
		return do(&postgresReading{conn: conn})
	})
}

// postgresReading has one statement under way at a time.
type postgresReading struct{ conn *pgx.Conn }

func (r *postgresReading) query(ctx context.Context, text string, args []any, scan func(*row) error) error {
	rows, err := r.conn.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func (r *postgresReading) begin(ctx context.Context, text string, args []any) error {
	_, err := r.conn.Exec(ctx, `DECLARE begun NO SCROLL CURSOR FOR `+text, args...)
	return err
}

func (r *postgresReading) fetch(ctx context.Context, n int, scan func(*row) error) error {
	return r.query(ctx, fmt.Sprintf(`FETCH %d FROM begun`, n), nil, scan)
}
