package server

import "time"

// SetBodyTime sets how long a body may take to arrive.
func (s *Server) SetBodyTime(d time.Duration) { s.bodyTime = d }

// SetBodyStall sets for how long the sender of a longer body may be behind.
func (s *Server) SetBodyStall(d time.Duration) { s.bodyStall = d }

// SetBodyBudget sets the bytes of bodies that are received and decoded at the same time, and the wait for a share.
func (s *Server) SetBodyBudget(receiving, decoding int64, wait time.Duration) {
	s.bodies = newBodyBudget(receiving, decoding, wait)
}

// SetStreamBudget sets how many streamed answers a token and an organization may have under way, and the wait for one.
func (s *Server) SetStreamBudget(ofToken, ofOrganization int64, wait time.Duration) {
	s.streams = newStreamBudget(ofToken, ofOrganization, wait)
}
