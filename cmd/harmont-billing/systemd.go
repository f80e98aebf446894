package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellSystemd sends a state to systemd, if it has started this process and waits for states.
func tellSystemd(logger *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn("systemd does not learn the state of the service", "state", state, "error", err)
	}
}

// feedWatchdog tells systemd twice in each period of its watchdog that the server is ready, until the context ends. Without that, systemd
// restarts the service after one period.
func feedWatchdog(ctx context.Context, logger *slog.Logger, ready func(context.Context) error) {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logger.Warn("the watchdog of systemd is not fed", "error", err)
	}
	if err != nil || period <= 0 {
		return
	}
	tick := time.NewTicker(period / 2)
	defer tick.Stop()
	for {
		if err := ready(ctx); err == nil {
			tellSystemd(logger, daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			logger.Error("not ready, so that the watchdog of systemd is not fed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
