// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Markers are the "+name=value" lines in the comments of types and fields. They are the only part of a comment that is
// read: facts such as +listType=map, +optional, +default="TCP".
type Markers map[string][]string

func (m Markers) has(name string) bool { _, ok := m[name]; return ok }
func (m Markers) one(name string) string {
	if v := m[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Sources are the parsed markers of the packages.
type Sources struct {
	types  map[string]Markers            // "pkg/path.Type"
	fields map[string]map[string]Markers // "pkg/path.Type" → Go field name
	consts map[string][]string           // "pkg/path.Type" → string values of its constants
	values map[string]string             // "pkg/path.Const" → literal
	loaded map[string]bool
}

func newSources() *Sources {
	return &Sources{map[string]Markers{}, map[string]map[string]Markers{}, map[string][]string{}, map[string]string{}, map[string]bool{}}
}

var markerLine = regexp.MustCompile(`^\+([A-Za-z0-9:/.()-]+)(?:=(.*))?$`)

func readMarkers(groups ...*ast.CommentGroup) Markers {
	m := Markers{}
	for _, g := range groups {
		if g == nil {
			continue
		}
		for _, c := range g.List {
			line := strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
			if s := markerLine.FindStringSubmatch(line); s != nil {
				m[s[1]] = append(m[s[1]], s[2])
			}
		}
	}
	return m
}

func packageDir(pkg string) (string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w", pkg, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// load parses a package's Go files, once.
func (s *Sources) load(pkg string) error {
	if s.loaded[pkg] {
		return nil
	}
	s.loaded[pkg] = true
	dir, err := packageDir(pkg)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, f := range files {
		base := filepath.Base(f)
		if strings.HasSuffix(base, "_test.go") || strings.HasPrefix(base, "zz_generated") || base == "generated.pb.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.readDecl(pkg, g)
			}
		}
	}
	return nil
}

func (s *Sources) readDecl(pkg string, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			name := pkg + "." + spec.Name.Name
			s.types[name] = readMarkers(g.Doc, spec.Doc)
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			s.fields[name] = map[string]Markers{}
			for _, f := range st.Fields.List {
				m := readMarkers(f.Doc)
				for _, n := range f.Names {
					s.fields[name][n.Name] = m
				}
			}
		case *ast.ValueSpec:
			if g.Tok == token.CONST {
				s.readConst(pkg, spec)
			}
		}
	}
}

func (s *Sources) readConst(pkg string, spec *ast.ValueSpec) {
	for i, n := range spec.Names {
		if i >= len(spec.Values) {
			break
		}
		lit, ok := spec.Values[i].(*ast.BasicLit)
		if !ok {
			continue
		}
		s.values[pkg+"."+n.Name] = lit.Value
		t, ok := spec.Type.(*ast.Ident)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		if v, err := strconv.Unquote(lit.Value); err == nil {
			s.consts[pkg+"."+t.Name] = append(s.consts[pkg+"."+t.Name], v)
		}
	}
}

// enum gives the values of a string type that is marked +enum, sorted; nil for others.
func (s *Sources) enum(pkg, name string) []string {
	if !s.types[pkg+"."+name].has("enum") {
		return nil
	}
	seen := map[string]bool{}
	var values []string
	for _, v := range s.consts[pkg+"."+name] {
		if !seen[v] && v != "" {
			seen[v] = true
			values = append(values, v)
		}
	}
	sort.Strings(values)
	return values
}

// defaultOf reads +default=<JSON> or +default=ref(<const>).
func (s *Sources) defaultOf(pkg string, m Markers) (string, error) {
	d := m.one("default")
	if !strings.HasPrefix(d, "ref(") {
		return d, nil
	}
	name := strings.TrimSuffix(strings.TrimPrefix(d, "ref("), ")")
	if !strings.Contains(name, ".") {
		name = pkg + "." + name
	}
	v, ok := s.values[name]
	if !ok {
		return "", fmt.Errorf("default of unknown constant %s", name)
	}
	return v, nil
}
