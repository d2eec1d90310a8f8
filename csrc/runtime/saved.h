// Saved programs: a description with the kernels it needs, in one file that axon-bench or another process can run.
//   "AXONPROG", version, length and SHA-256 of the rest; CPU features, shared libraries, kernels, description.
// The version is raised whenever the file's layout, or the operands or ints of a library step, change.
// The numbers are this machine's (x86-64). Library steps are saved by name: their code is this installation's.
#pragma once
#include <string>

#include "runtime/program.h"

namespace axon {

// Throws std::invalid_argument for what a file cannot hold (a host step), std::runtime_error when writing fails.
void save_program(const std::string& path, const Description& description);

// Throws std::invalid_argument, saying why, for a file that is foreign, damaged, of another version, or for a CPU that
// has features this one lacks.
Description load_program(const std::string& path);

}  // namespace axon
