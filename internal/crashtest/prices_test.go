package crashtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

// Prices are set through two servers under load, one of which is killed again and again. Each lease is billed once, by the card in force at
// its start.
func TestPricesSetWhileServersAreKilled(t *testing.T) {
	t.Parallel()
	inParts(t, func(t *testing.T, rounds int) {
		onEachStore(t, func(t *testing.T, database string) {
			const org = "acme"
			token := prepare(t, database, []string{org})
			var servers [2]atomic.Pointer[service]
			for i := range servers {
				servers[i].Store(serve(t, database, token))
			}
			// persist sends a request to one server and another until it is answered.
			persist := func(i int, send func(*client.Client) error) {
				for try := i; ; try++ {
					err := send(servers[try%len(servers)].Load().clients[i%clients])
					switch failure, answered := errors.AsType[*client.Error](err); {
					case err == nil:
						return
					case answered && failure.Status != 503:
						t.Errorf("the answer is %v", err)
						return
					}
					time.Sleep(pause)
				}
			}
			var billed atomic.Int64
			stop := make(chan struct{})
			var sending sync.WaitGroup
			end := sync.OnceFunc(func() {
				close(stop)
				sending.Wait()
			})
			t.Cleanup(end)
			for i := range clients {
				sending.Go(func() {
					for n := 0; !t.Failed(); n++ {
						select {
						case <-stop:
							return
						default:
						}
						start := time.Now().Truncate(time.Microsecond)
						lease := client.Lease{
							VMHandle: new(fmt.Sprint(i, "/", n)), LeaseID: new(uuid.New()), CPUCount: 2, MemoryGB: 4, DiskGB: 20,
							StartedAt: start, FinishedAt: new(start.Add(300 * time.Second)),
						}
						persist(i+n, func(c *client.Client) error {
							_, err := c.RecordLeases(context.Background(), org, []client.Lease{lease})
							return err
						})
						billed.Add(1)
					}
				})
			}
			price, keys := int64(0), 0
			for range rounds {
				for range 4 {
					price += 10_000
					card := client.SetRateCardRequest{
						Name: fmt.Sprint(price), CPUMicrocents: new(price), MemoryGBMicrocents: new(int64(5_000)), DiskGBMicrocents: new(int64(100)),
					}
					keys++
					key := fmt.Sprint("key ", keys)
					killed := keys % len(servers)
					var killing sync.WaitGroup
					if keys%2 == 0 {
						old := servers[killed].Load()
						killing.Go(func() {
							time.Sleep(time.Duration(keys%7) * time.Millisecond)
							old.kill()
							servers[killed].Store(serve(t, database, token))
						})
					}
					persist(killed, func(c *client.Client) error {
						_, err := c.SetRateCard(context.Background(), org, key, card)
						return err
					})
					killing.Wait()
					for done := billed.Load() + clients; billed.Load() < done && !t.Failed(); {
						time.Sleep(pause)
					}
				}
			}
			end()
			c := servers[0].Load().clients[0]
			var cards []client.RateCard
			for card, err := range c.RateCards(t.Context(), org) {
				if err != nil {
					t.Fatal(err)
				}
				cards = append(cards, card)
			}
			if len(cards) != 1+keys {
				t.Errorf("there are %d rate cards, want the first one and %d", len(cards), keys)
			}
			slices.SortFunc(cards, func(a, b client.RateCard) int { return b.EffectiveFrom.Compare(a.EffectiveFrom) })
			seen, used := map[string]bool{}, map[client.UUID]int{}
			for lease, err := range c.Leases(t.Context(), org, client.LeaseFilter{}) {
				if err != nil {
					t.Fatal(err)
				}
				card := cards[slices.IndexFunc(cards, func(card client.RateCard) bool { return !card.EffectiveFrom.After(lease.StartedAt) })]
				cents := (2**card.CPUMicrocents + 4*5_000 + 20*100) * 300 / 1_000_000
				if lease.RateCardID == nil || *lease.RateCardID != card.ID || lease.AmountCents != -cents {
					t.Errorf("the lease %s from %s has %d cents by the card %v; want %d by %s, in force from %s",
						*lease.VMHandle, lease.StartedAt, lease.AmountCents, lease.RateCardID, -cents, card.ID, card.EffectiveFrom)
				}
				if seen[*lease.VMHandle] {
					t.Errorf("the lease %s is there twice", *lease.VMHandle)
				}
				seen[*lease.VMHandle] = true
				used[card.ID]++
			}
			if int64(len(seen)) != billed.Load() {
				t.Errorf("%d leases are there, %d were acknowledged", len(seen), billed.Load())
			}
			verify(t, database, []string{org})
			t.Logf("%d leases by %d cards", len(seen), len(used))
		})
	})
}
