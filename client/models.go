package client

import "github.com/oapi-codegen/runtime/types"

// UUID is the UUID of github.com/google/uuid.
type UUID = types.UUID

// Date is a day without a time, at midnight UTC. It prints and encodes as YYYY-MM-DD.
type Date = types.Date
