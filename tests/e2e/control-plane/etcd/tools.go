//go:build tools

// Package tools pins the etcd that stands behind the end-to-end suite's API server.
package tools

import _ "go.etcd.io/etcd/server/v3"
