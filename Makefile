# Two commands do everything: `make run` and `make test`. Both install what they need and are quick when repeated.
# What they do is written in Rust: see dev/src/, or `cargo dev help`.

.PHONY: help run test build wheel clean

help:
	@echo "make run     build everything and run the example under naja"
	@echo "make test    run all tests"
	@echo "make build   build everything; the command is then .venv/bin/naja"
	@echo "make wheel   build the wheel into dist/"
	@echo "make clean   remove everything that make made in this folder"

run test build wheel:
	@sh dev/prerequisites.sh
	@cargo dev $@

clean:
	rm -rf target .venv .cache dist
