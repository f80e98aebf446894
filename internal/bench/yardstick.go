package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// yardstickCommand is the argument that makes this program run as a yardstick, a server that the real one is compared with.
const yardstickCommand = "yardstick"

const (
	balancePath = "/api/v0/billing/balance/"
	leasesPath  = "/api/v0/billing/leases/"
)

// runYardstick serves one yardstick until the context ends.
func runYardstick(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("yardstick KIND ADDRESS ARGUMENT")
	}
	kind, address, argument := args[0], args[1], args[2]
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	switch kind {
	case "constant":
		body := []byte(argument)
		e.GET(balancePath+":org", func(c echo.Context) error { return c.JSONBlob(http.StatusOK, body) })
	case "row":
		if err := serveRow(ctx, e, argument); err != nil {
			return err
		}
	case "naive", "bare":
		db, err := openWriter(ctx, argument)
		if err != nil {
			return err
		}
		insert := insertNaively
		if kind == "bare" {
			insert = insertMinimally
		}
		e.POST(leasesPath+":org", func(c echo.Context) error { return recordOne(c, db, insert) })
	default:
		return fmt.Errorf("no yardstick is called %s", kind)
	}
	context.AfterFunc(ctx, func() { _ = e.Close() })
	if err := e.Start(address); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveRow answers requests for a balance. It reads one row by its primary key, through a pool of pgx.
func serveRow(ctx context.Context, e *echo.Echo, url string) error {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	config.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	id := orgIDs[largeOrg]
	e.GET(balancePath+":org", func(c echo.Context) error {
		var cents int64
		err := pool.QueryRow(c.Request().Context(), `SELECT balance_cents FROM ledger_heads WHERE org_id = $1`, id).Scan(&cents)
		if err != nil {
			return err
		}
		return c.JSONBlob(http.StatusOK, append(strconv.AppendInt([]byte(`{"balance_cents":`), cents, 10), '}'))
	})
	return nil
}

// poolSize is the number of connections from a yardstick to PostgreSQL. Fewer leave PostgreSQL partly idle, and more gain nothing.
const poolSize = 16

// recordOne answers a request that records one lease. Each request has its own transaction.
func recordOne(c echo.Context, db writer, insert func(context.Context, transaction, leaseJSON) error) error {
	var body struct {
		Leases []leaseJSON `json:"leases"`
	}
	if err := json.NewDecoder(c.Request().Body).Decode(&body); err != nil {
		return err
	}
	ctx := c.Request().Context()
	err := db.transact(ctx, func(t transaction) error { return insert(ctx, t, body.Leases[0]) })
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"data": []map[string]any{{"lease_id": body.Leases[0].LeaseID, "status": "billed"}}})
}

// writer and transaction are the interfaces of a database that the yardsticks need.
type writer interface {
	transact(context.Context, func(transaction) error) error
}

type transaction interface {
	exec(ctx context.Context, text string, args ...any) error
	// get reads one row into dest, and reports whether the row exists.
	get(ctx context.Context, text string, args []any, dest ...any) (bool, error)
	idType() string
	// forUpdate returns the clause with which a query locks the row that it reads.
	forUpdate() string
}

func openWriter(ctx context.Context, url string) (db writer, err error) {
	if strings.HasPrefix(url, "sqlite:") {
		db, err = openSQLiteWriter(url)
	} else {
		db, err = openPostgresWriter(ctx, url)
	}
	if err != nil {
		return nil, err
	}
	// The yardsticks keep sums in the simplest form, one row for each hour, in a table of their own.
	return db, db.transact(ctx, func(t transaction) error {
		return t.exec(ctx, `CREATE TABLE naive_hours (org_id `+t.idType()+` NOT NULL, hour_start BIGINT NOT NULL,
			cpu_seconds BIGINT NOT NULL, memory_gb_seconds BIGINT NOT NULL, disk_gb_seconds BIGINT NOT NULL, total_cents BIGINT NOT NULL,
			PRIMARY KEY (org_id, hour_start))`)
	})
}

const insertLease = `INSERT INTO leases (org_id, lease_id, job_id, job_name, step_key, vm_handle, build_id, build_number,
	build_external_id, pipeline_id, pipeline_name, pipeline_slug, cpu_count, memory_gb, disk_gb, started_at, finished_at,
	duration_seconds, amount_cents, card_id)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`

// yardstickCard is the rate card that leases of yardsticks name. The database requires a card; the yardsticks have none.
var yardstickCard = billing.ID{0: 1}

// leaseRow returns the arguments of insertLease for a lease that is billed at the standard rates. start is in microseconds.
func leaseRow(org billing.ID, l leaseJSON) (args []any, id billing.ID, start, cents int64, err error) {
	var ids [4]billing.ID
	for i, text := range []string{l.LeaseID, l.JobID, l.BuildID, l.PipelineID} {
		if ids[i], err = billing.ParseID(text); err != nil {
			return nil, id, 0, 0, err
		}
	}
	var times [2]billing.Time
	for i, text := range []string{l.StartedAt, l.FinishedAt} {
		if times[i], err = billing.ParseTime(text); err != nil {
			return nil, id, 0, 0, err
		}
	}
	cost, err := billing.StandardRates.Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds)
	return []any{
		org[:], ids[0][:], ids[1][:], l.JobName, l.StepKey, l.VMHandle, ids[2][:], l.BuildNumber, l.BuildExternalID,
		ids[3][:], l.PipelineName, l.PipelineSlug, l.CPUCount, l.MemoryGB, l.DiskGB, int64(times[0]), int64(times[1]),
		l.DurationSeconds, -cost, yardstickCard[:],
	}, ids[0], int64(times[0]), -cost, err
}

// insertNaively records one lease as a first version of a billing server would: it writes the lease, its entry, the sum and the head.
func insertNaively(ctx context.Context, t transaction, l leaseJSON) error {
	org := orgIDs[largeOrg]
	row, lease, start, cents, err := leaseRow(org, l)
	if err != nil {
		return err
	}
	var known int64
	found, err := t.get(ctx, `SELECT started_at FROM leases WHERE org_id = $1 AND job_id = $2`, []any{org[:], row[2]}, &known)
	if err != nil || found {
		return errors.Join(err, fmt.Errorf("job %s was there: %t", l.JobID, found))
	}
	var seq, balance int64
	_, err = t.get(ctx, `SELECT seq, balance_cents FROM ledger_heads WHERE org_id = $1`+t.forUpdate(), []any{org[:]}, &seq, &balance)
	if err != nil {
		return err
	}
	if err := t.exec(ctx, insertLease, row...); err != nil {
		return err
	}
	now, entry := time.Now().UnixMicro(), billing.NewID()
	digest := sha256.Sum256(entry[:]) // which the database requires; a chain of digests is not part of the yardstick
	if err := t.exec(ctx, `INSERT INTO ledger_entries (org_id, seq, entry_id, amount_cents, balance_after_cents, source, description,
			created_at, lease_id, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		org[:], seq+1, entry[:], cents, balance+cents, string(billing.SourceVMLeaseDebit), "VM lease of job "+l.JobID+" started "+l.StartedAt,
		now, lease[:], digest[:]); err != nil {
		return err
	}
	seconds := *l.DurationSeconds
	if err := t.exec(ctx, `INSERT INTO naive_hours (org_id, hour_start, cpu_seconds, memory_gb_seconds, disk_gb_seconds, total_cents)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org_id, hour_start) DO UPDATE SET
			cpu_seconds = naive_hours.cpu_seconds + excluded.cpu_seconds,
			memory_gb_seconds = naive_hours.memory_gb_seconds + excluded.memory_gb_seconds,
			disk_gb_seconds = naive_hours.disk_gb_seconds + excluded.disk_gb_seconds,
			total_cents = naive_hours.total_cents + excluded.total_cents`,
		org[:], start-start%int64(billing.Hour), l.CPUCount*seconds, l.MemoryGB*seconds, l.DiskGB*seconds, -cents); err != nil {
		return err
	}
	return t.exec(ctx, `UPDATE ledger_heads SET seq = $2, balance_cents = $3, last_at = $4 WHERE org_id = $1`, org[:], seq+1, balance+cents, now)
}

// insertMinimally inserts one row and counts it in the organization's head, which is the least that a ledger must do.
func insertMinimally(ctx context.Context, t transaction, l leaseJSON) error {
	org := orgIDs[largeOrg]
	row, _, _, cents, err := leaseRow(org, l)
	if err != nil {
		return err
	}
	err = t.exec(ctx, `UPDATE ledger_heads SET seq = seq + 1, balance_cents = balance_cents + $2 WHERE org_id = $1`, org[:], cents)
	if err != nil {
		return err
	}
	return t.exec(ctx, insertLease, row...)
}
