# SPDX-License-Identifier: Apache-2.0
# A thin front for meson: the commands that people and CI type. HACKING.md explains each.

.PHONY: all build up down test test-kills test-faults test-vm bench fuzz fuzz-api clean packages format generate

all: build

packages:
	@tools/install-packages build run

build: packages
	@[ -f build/build.ninja ] || meson setup build >/dev/null
	@ninja -C build --quiet proa proa-shim >&2

up: build
	@tools/demo up

down:
	@tools/demo down

test:
	@tools/install-packages build run test
	@tools/run-tests

# Slow: many SIGKILLs at random moments of everything that changes the image store.
test-kills: build
	@PROA_KILLS=$${PROA_KILLS:-150} tests/e2e/run --build build --only image_kills

# Slow: each system call of each command of proa-oci and of a pod's shim fails once.
test-faults: build
	@ninja -C build --quiet proa-oci tests/oci/fault tests/e2e/runtime/runtime_faults
	@PROA_FAULTS=all tests/oci/run --build build --only test_faults

# Slow: a virtual machine with pure cgroup v2.
test-vm: build
	@tests/vm/run build

bench: build
	@ninja -C build --quiet tests/bench/api_load tests/e2e/runtime/runtime_bench tests/bench/by_turns tests/bench/container_floor
	@tools/bench

fuzz:
	@tools/install-packages build test
	@tools/run-fuzzers $${SECONDS_EACH:-60}

# The live API over its own OpenAPI, another way each time; SEED and SECONDS_ALL as wanted.
fuzz-api:
	@tools/install-packages build test
	@[ -f build-sanitized/build.ninja ] || CC=clang meson setup build-sanitized -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 >/dev/null
	@ninja -C build-sanitized --quiet tests/e2e/apiserver >&2
	@tests/e2e/api_fuzz.py --apiserver build-sanitized/tests/e2e/apiserver --seed $${SEED:-$$(date +%s)} --seconds $${SECONDS_ALL:-600} --requests 1000000000

format:
	@git ls-files '*.c' '*.h' | grep -v '^src/api/gen/' | xargs clang-format -i

generate:
	@cd tools/apigen && go run . -out ../../src/api/gen

clean:
	rm -rf build build-*
