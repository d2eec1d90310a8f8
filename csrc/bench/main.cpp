// axon-bench: times the runtime's parts and saved programs without Python.
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "bench/bench.h"
#include "runtime/baseline.h"
#include "runtime/parallel.h"
#include "runtime/saved.h"

namespace {

using namespace axon;
using namespace axon::bench;

constexpr int64_t kFloat32 = 11;  // the number of the dtype in library steps

constexpr const char* kUsage =
    "usage: axon-bench gemm [M N K]                          float32 matrix product\n"
    "       axon-bench conv [BATCH SIZE IN OUT KERNEL]       float32 convolution, padded to keep its size\n"
    "       axon-bench copy [BYTES]                          memory copy over all threads\n"
    "       axon-bench scalars [NAME]                        what kernels are made of: all of float32, or one of any dtype\n"
    "       axon-bench run FILE                              a program saved by Python, on zeros, and each of its steps\n"
    "       axon-bench all                                   the usual sizes of each\n";

// The numbers after the command, or `defaults` when there are none.
std::vector<int64_t> numbers(int argc, char** argv, std::vector<int64_t> defaults) {
  if (argc == 2) return defaults;
  std::vector<int64_t> values;
  for (int i = 2; i < argc; ++i) {
    char* end = nullptr;
    values.push_back(std::strtoll(argv[i], &end, 10));
    if (*end != '\0' || values.back() < 1 || values.back() > int64_t{1} << 36)
      throw std::invalid_argument(std::string("expected a positive number, got ") + argv[i]);
  }
  if (values.size() != defaults.size())
    throw std::invalid_argument("expected " + std::to_string(defaults.size()) + " numbers, got " + std::to_string(values.size()));
  return values;
}

void gemm(const std::vector<int64_t>& s) {
  const int64_t m = s[0], n = s[1], k = s[2];
  const Program program(library_program("gemm", {4 * m * k, 4 * k * n, 4 * m * n},
                                        {kFloat32, 1, m, n, k, m * k, k, 1, k * n, n, 1, 0}));
  const std::string what = "gemm " + std::to_string(m) + " x " + std::to_string(k) + " x " + std::to_string(n);
  print(what, time_program(program), 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k), "GFLOP/s");
}

void conv(const std::vector<int64_t>& s) {
  const int64_t batch = s[0], size = s[1], in = s[2], out = s[3], kernel = s[4], pad = kernel / 2;
  const int64_t after = size + 2 * pad - kernel + 1;
  const Program program(library_program(
      "conv", {4 * batch * size * size * in, 4 * kernel * kernel * in * out, 4 * batch * after * after * out},
      {kFloat32, 0, 2, batch, in, out, 1, size, size, kernel, kernel, after, after, 1, 1, pad, pad, pad, pad, 1, 1, 1, 1, 0}));
  const std::string what = "conv " + std::to_string(batch) + " x " + std::to_string(size) + "^2 x " + std::to_string(in) +
                           " -> " + std::to_string(out) + ", " + std::to_string(kernel) + "^2";
  print(what, time_program(program), 2.0 * static_cast<double>(batch * after * after) * static_cast<double>(kernel * kernel * in * out),
        "GFLOP/s");
}

int copy_bytes(char* const* operands, const int64_t*, const uint64_t*, int64_t begin, int64_t end, char*) {
  std::memcpy(operands[1] + begin, operands[0] + begin, static_cast<size_t>(end - begin));
  return 0;
}

void copy(const std::vector<int64_t>& s) {
  KernelStep step{std::make_shared<Kernel>(copy_bytes), {}, 1 << 16, 0, "copy"};
  step.calls.push_back({{0, 1}, {}, {}, s[0]});
  Description description;
  description.slots = {{Slot::Kind::input, 0, 0, s[0]}, {Slot::Kind::output, 0, -1, s[0]}};
  description.inputs = description.outputs = 1;
  description.steps.push_back({std::move(step)});
  print("copy " + std::to_string(s[0]) + " bytes, read and written", time_program(Program(std::move(description))),
        2.0 * static_cast<double>(s[0]), "GB/s");
}

void run(const std::string& path) {
  const Program program(load_program(path));
  const Times times = time_program(program);
  print(program.description().label, times, 0, "");
  const std::vector<std::string> labels = step_labels(program);
  for (size_t i = 0; i < labels.size(); ++i) std::printf("  %9.3f us  %s\n", times.steps[i] * 1e6, labels[i].c_str());
}

void all() {
  for (const int64_t size : {8, 64, 512, 2048}) gemm({size, size, size});
  gemm({32, 128, 784});
  conv({8, 56, 64, 64, 3});
  conv({32, 28, 1, 32, 3});
  for (const int64_t size : {int64_t{1} << 16, int64_t{64} << 20}) copy({size});
  time_scalars("");
}

}  // namespace

int main(int argc, char** argv) {
  if (const char* feature = missing_feature()) return std::fprintf(stderr, "axon-bench: %s%s\n", kNeeds, feature), 1;
  const std::string command = argc > 1 ? argv[1] : "";
  try {
    std::printf("%d threads\n", threads());
    if (command == "gemm") gemm(numbers(argc, argv, {512, 512, 512}));
    else if (command == "conv") conv(numbers(argc, argv, {8, 56, 64, 64, 3}));
    else if (command == "copy") copy(numbers(argc, argv, {64 << 20}));
    else if (command == "scalars" && argc <= 3) time_scalars(argc == 3 ? argv[2] : "");
    else if (command == "run" && argc == 3) run(argv[2]);
    else if (command == "all" && argc == 2) all();
    else return std::fputs(kUsage, stderr), 2;
    return 0;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "axon-bench: %s\n", error.what()), 1;
  }
}
