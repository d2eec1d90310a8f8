// The library steps over operands of exactly the size they declare, so that the sanitizers see any access beyond them.
// Values are checked only as far as ones and small numbers go; tests/cpu compares with NumPy.
#include <bit>
#include <numeric>
#include <random>

#include "runtime/allocator.h"
#include "runtime/library.h"
#include "runtime/parallel.h"
#include "test.h"
#include "tiles/tiles.h"

namespace {

using Ints = std::vector<int64_t>;

struct BFloat {
  uint16_t bits;
  explicit BFloat(int64_t value = 0) : bits(static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16)) {}
  bool operator==(const BFloat&) const = default;
};

// Runs a step over operands of T, each in an allocation of its own.
template <class T>
void run(const char* symbol, const Ints& ints, std::vector<std::vector<T>>& operands) {
  Ints nbytes;
  std::vector<char*> pointers;
  for (std::vector<T>& operand : operands) {
    nbytes.push_back(static_cast<int64_t>(operand.size() * sizeof(T)));
    pointers.push_back(reinterpret_cast<char*>(operand.data()));
  }
  const axon::AllThreads threads;
  axon::ScratchArea area;
  const std::unique_ptr<axon::LibraryStep> step = area.make(axon::find_library_factory(symbol), {nbytes, ints, {}});
  const axon::Memory scratch(area.nbytes());
  area.place(scratch.data());
  step->run(pointers.data());
}

template <class T>
std::vector<T> ones(int64_t count) {
  return std::vector<T>(static_cast<size_t>(count), T{1});
}

int64_t draw(int64_t low, int64_t high) {
  static std::mt19937 random(1);
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

// Batch, row and column strides of a matrix in one of four layouts; returns how many elements it takes.
int64_t lay_out(int64_t batch, int64_t rows, int64_t columns, Ints& strides) {
  switch (draw(0, 3)) {
    case 0: strides = {rows * columns, columns, 1}; break;
    case 1: strides = {rows * columns, 1, rows}; break;
    case 2: strides = {1, columns * batch, batch}; break;
    default: strides = {6 * rows * columns, 3 * columns, 2};
  }
  if (batch * rows * columns == 0) return 0;
  return (batch - 1) * strides[0] + (rows - 1) * strides[1] + (columns - 1) * strides[2] + 1;
}

template <class T>
void multiply_ones(const char* symbol, int64_t dtype, int64_t m, int64_t n, int64_t k) {
  const int64_t batch = draw(1, 3), bias = draw(0, 1);
  Ints a, b, ints = {dtype, batch, m, n, k};
  std::vector<std::vector<T>> operands = {ones<T>(lay_out(batch, m, k, a)), ones<T>(lay_out(batch, k, n, b))};
  if (bias) operands.push_back(ones<T>(n));
  operands.emplace_back(static_cast<size_t>(batch * m * n));
  for (const Ints* strides : {&a, &b}) ints.insert(ints.end(), strides->begin(), strides->end());
  ints.push_back(bias);
  run(symbol, ints, operands);
  for (T value : operands.back()) CHECK(value == static_cast<T>(k + bias));
}

}  // namespace

TEST("gemm stays within its operands") {
  for (int trial = 0; trial < 800; ++trial) {
    const int64_t m = draw(0, 3) > 0 ? draw(0, 40) : draw(0, 4), n = draw(0, 9) > 0 ? draw(0, 70) : 1, k = draw(0, 420);
    switch (trial % 4) {
      case 0: multiply_ones<float>("gemm", axon_float32, m, n, k); break;
      case 1: multiply_ones<double>("gemm", axon_float64, m, n, k); break;
      case 2: multiply_ones<BFloat>("gemm", axon_bfloat16, m, n, k % 256); break;  // 256 is the last of the integers it has
      default: multiply_ones<int16_t>("gemm", axon_int16, m, n, k);
    }
  }
  multiply_ones<float>("gemm", axon_float32, 130, 530, 800);
  multiply_ones<BFloat>("gemm", axon_bfloat16, 300, 530, 200);
}

TEST("an empty product touches nothing, however large its other sizes are") {
  constexpr int64_t most = int64_t{1} << 40, many = int64_t{1} << 20;
  for (const int64_t dtype : {axon_float32, axon_bfloat16, axon_int16})
    for (const Ints& sizes : std::vector<Ints>{{0, 33, 34, 40}, {many, most, 0, most}, {many, 0, most, most}, {0, most, 1, most}}) {
      std::vector<std::vector<uint16_t>> operands(3);
      Ints ints{dtype};
      ints.insert(ints.end(), sizes.begin(), sizes.end());
      ints.insert(ints.end(), {0, 0, 0, 0, 0, 0, 0});
      if (sizes[0] > 0) operands[sizes[1] == 0 ? 1 : 0].resize(2);  // one element, with strides of 0
      run("gemm", ints, operands);
    }
}

TEST("convolutions stay within their operands") {
  for (int trial = 0; trial < 220; ++trial) {
    const int64_t most = trial % 5 == 0 ? 90 : 9;  // large kernels are cut along the channels
    const bool depthwise = trial % 3 == 0;
    const int64_t batch = draw(1, 2), groups = depthwise ? draw(1, 40) : draw(1, 2);
    const int64_t in = groups * (depthwise ? 1 : draw(1, most)), out = depthwise ? in : groups * draw(1, 2 * most);
    Ints input, kernel, output, strides, low, high, input_dilation, kernel_dilation;
    int64_t inputs = batch * in, outputs = batch * out, weights = in / groups * out;
    for (int axis = 0; axis < 2; ++axis) {
      for (Ints* list : {&strides, &input_dilation, &kernel_dilation}) list->push_back(draw(1, 2));
      low.push_back(draw(-1, 2));
      high.push_back(draw(-1, 2));
      input.push_back(draw(1, depthwise ? 20 : 9));
      kernel.push_back(draw(1, 3));
      const int64_t room = (input.back() - 1) * input_dilation.back() + low.back() + high.back() -
                           (kernel.back() - 1) * kernel_dilation.back();
      output.push_back(room < 0 ? 0 : room / strides.back() + 1);
      inputs *= input.back();
      outputs *= output.back();
      weights *= kernel.back();
    }
    for (int64_t direction : {0, 1, 2}) {
      Ints ints = {axon_float32, direction, 2, batch, in, out, groups};
      for (const Ints* list : {&input, &kernel, &output, &strides, &low, &high, &input_dilation, &kernel_dilation})
        ints.insert(ints.end(), list->begin(), list->end());
      ints.push_back(0);
      const int64_t sizes[3][3] = {{inputs, weights, outputs}, {outputs, weights, inputs}, {inputs, outputs, weights}};
      std::vector<std::vector<float>> operands;
      for (int64_t size : sizes[direction]) operands.push_back(ones<float>(size));
      run("conv", ints, operands);
      const auto total = [](const std::vector<float>& values) { return std::accumulate(values.begin(), values.end(), 0.0); };
      // All three directions count the same products of ones.
      static double forward;
      if (direction == 0) forward = total(operands[2]);
      CHECK(total(operands[2]) == forward);
    }
  }
}

TEST("copies stay within their operands") {
  for (int64_t rows : {1, 7, 16, 40, 200})
    for (int64_t columns : {1, 9, 16, 33, 300}) {
      std::vector<std::vector<uint32_t>> operands(2, std::vector<uint32_t>(static_cast<size_t>(rows * columns)));
      std::iota(operands[0].begin(), operands[0].end(), 0u);
      run("copy", {4, 2, columns, rows, 0, 1, columns, 0, rows, 1}, operands);
      for (int64_t i = 0; i < rows * columns; ++i)
        CHECK(operands[1][static_cast<size_t>(i)] == static_cast<uint32_t>(i % rows * columns + i / rows));
    }
}

TEST("scatter drops what is out of range") {
  std::vector<std::vector<int32_t>> operands = {{1, 2, 3}, {0, -1, 3, -4, 2, 2147483647}, {10, 20, 30, 40, 50, 60}, {0, 0, 0}};
  run("scatter_add", {3, 3, 1, 3, 1, 6}, operands);
  CHECK((operands[3] == std::vector<int32_t>{11, 2, 73}));
}
