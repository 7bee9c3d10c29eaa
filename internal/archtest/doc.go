// Package archtest holds the architecture as tests: which room may import
// which, which upstream packages never serve in the product, that every package
// and every exported name says what it is, and how long files and functions may
// get.
//
// The table in imports.go is the policy. A new package needs a line there
// first; do not relax a line to make a build pass.
package archtest
