// What axon-bench shares: timing, and programs of one library step.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program.h"

namespace axon::bench {

struct Times {
  double median, best;  // seconds
  int runs;
};

// Runs a program again and again, for about a second and at least five times, on zeros.
Times time_program(const Program& program);

// A program of one library step: the last operand is its output, the others are inputs.
Description library_program(const std::string& symbol, const std::vector<int64_t>& nbytes, std::vector<int64_t> ints);

void print(const std::string& what, const Times& times, double amount, const char* unit);

}  // namespace axon::bench
