package metrics

import "github.com/harmont-dev/harmont-billing/server"

// WatchLoad adds a load that no server has.
func (m *Metrics) WatchLoad(load server.Load) { m.watch(func() server.Load { return load }) }
