// What axon-bench shares: timing, and programs of one library step.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/program.h"

namespace axon::bench {

struct Times {
  double median, best;  // seconds
  int runs;
  std::vector<double> steps = {};  // median seconds of each step of the outermost list
};

// Runs a program again and again, for about a second and at least five times, on zeros; then as often step by step.
Times time_program(const Program& program);

// What the rows of a report call a program's steps.
std::vector<std::string> step_labels(const Program& program);

// Prints a line for each scalar of that name, or for each on float32 where the name is empty. Throws
// std::invalid_argument when there is none.
void time_scalars(const std::string& name);

// Seconds of the fastest call, of many calls in blocks that the clock can tell apart.
double fastest(const std::function<void()>& call);

// A program of one library step: the last operand is its output, the others are inputs.
Description library_program(const std::string& symbol, const std::vector<int64_t>& nbytes, std::vector<int64_t> ints);

void print(const std::string& what, const Times& times, double amount, const char* unit);

}  // namespace axon::bench
