package server

import "time"

// SetBodyTime sets how long a body may take to arrive.
func (s *Server) SetBodyTime(d time.Duration) { s.bodyTime = d }
