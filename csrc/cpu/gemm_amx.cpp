// bfloat16 products by AMX, whose tiles are 16 x 16 sums of float and take 32 values of k at a time. Both matrices are first
// copied into the order in which tiles are loaded, by all threads; then blocks of the result are claimed. An element's sum
// runs over k in rising order, in spans that depend on k alone, and is rounded once: the same bits at any number of threads.
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "cpu/features.h"
#include "cpu/gemm.h"
#include "cpu/transpose.h"
#include "runtime/library.h"
#include "runtime/parallel.h"

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 says it of its own AVX-512 intrinsics

namespace axon::cpu {
namespace {

constexpr int64_t kBlock = 32;                // of a block of 2 x 2 tiles, which four tiles of operands feed
constexpr int64_t kStep = 32;                 // values of k in a tile of an operand
constexpr int64_t kWords = kBlock * kStep;     // of an operand's two tiles
constexpr int64_t kSpan = 256;                // of k between two visits of a block: a panel of each operand is 16 KiB
constexpr int64_t kRows = 256, kColumns = 256;  // of the result that are claimed together

#define AXON_AMX __attribute__((target("amx-tile,amx-bf16")))

// In static memory: GCC's intrinsic says that it reads the first word only, so a local one would not be written whole.
alignas(64) constexpr struct {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
} kTiles;

// Tiles 0 to 3 are the block's sums, 4 and 5 a's rows, 6 and 7 b's columns.
AXON_AMX void multiply_block(const uint16_t* a, const uint16_t* b, int64_t steps, float* sums, bool accumulate) {
  constexpr int64_t row = kBlock * sizeof(float), half = 16 * kBlock;
  if (accumulate) {
    _tile_loadd(0, sums, row);
    _tile_loadd(1, sums + 16, row);
    _tile_loadd(2, sums + half, row);
    _tile_loadd(3, sums + half + 16, row);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t step = 0; step < steps; ++step, a += kWords, b += kWords) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(5, a + kWords / 2, 64);
    _tile_loadd(7, b + kWords / 2, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, row);
  _tile_stored(1, sums + 16, row);
  _tile_stored(2, sums + half, row);
  _tile_stored(3, sums + half + 16, row);
}

// A row of a block, of `columns` at most 32, with the bias (or null) added.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void round_row(bf16* out, const float* sums, const bf16* bias,
                                                                              int64_t columns) {
  const __mmask32 mask = columns == kBlock ? ~0u : (1u << columns) - 1;
  __m512 low = _mm512_loadu_ps(sums), high = _mm512_loadu_ps(sums + 16);
  if (bias) {
    const __m512i words = _mm512_maskz_loadu_epi16(mask, bias);
    const auto wide = [](__m256i half) __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) {
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    };
    low = _mm512_add_ps(low, wide(_mm512_castsi512_si256(words)));
    high = _mm512_add_ps(high, wide(_mm512_extracti64x4_epi64(words, 1)));
  }
  _mm512_mask_storeu_epi16(out, mask, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

AXON_AMX void take_tiles() { _tile_loadconfig(&kTiles); }
AXON_AMX void release_tiles() { _tile_release(); }

// The system keeps the state of tiles only for processes that ask.
bool tiles_allowed() {
  constexpr long kRequest = 0x1023, kTileData = 18;
  static const bool allowed = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return allowed;
}

// 32 rows of 32 values whose columns lie side by side in the source, 8 x 8 at a time.
void turn(const uint16_t* source, int64_t stride, uint16_t* panel) {
  for (int64_t p = 0; p < kStep; p += 8)
    for (int64_t i = 0; i < kBlock; i += 8) {
      SmallRow square[8];
      for (int64_t q = 0; q < 8; ++q) std::memcpy(&square[q], source + (p + q) * stride + i, sizeof square[q]);
      transpose_small<uint16_t>(square);
      for (int64_t q = 0; q < 8; ++q) std::memcpy(panel + (i + q) * kStep + p, &square[q], sizeof square[q]);
    }
}

// A panel of 32 rows of a: for each step of k two tiles, whose rows are 32 values of k. What lies past the end is 0.
void pack_rows(uint16_t* panel, const uint16_t* a, int64_t row, int64_t column, int64_t rows, int64_t k) {
  for (int64_t p = 0; p < k; p += kStep, panel += kWords) {
    const int64_t count = std::min(kStep, k - p);
    if (row == 1 && column != 1 && rows == kBlock && count == kStep) {
      turn(a + p * column, column, panel);
      continue;
    }
    if (rows < kBlock || count < kStep) std::fill_n(panel, kWords, uint16_t{0});
    for (int64_t i = 0; i < rows; ++i) {
      const uint16_t* const from = a + i * row + p * column;
      if (column == 1 && count == kStep) std::memcpy(panel + i * kStep, from, kStep * sizeof *from);
      else
        for (int64_t q = 0; q < count; ++q) panel[i * kStep + q] = from[q * column];
    }
  }
}

// Two rows of 32 columns become pairs.
void interleave(const uint16_t* first, const uint16_t* second, uint16_t* panel) {
  for (int64_t tile = 0; tile < 2; ++tile) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first) + tile);
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(second) + tile);
    const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
    __m256i* const to = reinterpret_cast<__m256i*>(panel + tile * kWords / 2);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(low, high, 0x31));
  }
}

// 8 columns of 32 values, which lie side by side in the source, as 16 rows of pairs.
void turn_pairs(const uint16_t* source, int64_t stride, uint16_t* panel) {
  for (int64_t half = 0; half < 2; ++half) {
    Vector<float> square[8];
    for (int64_t j = 0; j < 8; ++j) std::memcpy(&square[j], source + j * stride + half * 16, sizeof square[j]);
    transpose<float>(square);
    for (int64_t pair = 0; pair < 8; ++pair)
      std::memcpy(panel + (half * 8 + pair) * kStep, &square[pair], sizeof square[pair]);
  }
}

// A panel of 32 columns of b: for each step of k two tiles of 16 columns, whose rows are pairs of k.
void pack_columns(uint16_t* panel, const uint16_t* b, int64_t row, int64_t column, int64_t columns, int64_t k) {
  const auto tile = [](int64_t j) { return j / 16 * (kWords / 2) + j % 16 * 2; };
  for (int64_t p = 0; p < k; p += kStep, panel += kWords) {
    const int64_t count = std::min(kStep, k - p);
    const uint16_t* const from = b + p * row;
    if (columns == kBlock && count == kStep && column == 1) {
      for (int64_t q = 0; q < kStep; q += 2) interleave(from + q * row, from + (q + 1) * row, panel + q * 16);
    } else if (columns == kBlock && count == kStep && row == 1) {
      for (int64_t j = 0; j < kBlock; j += 8) turn_pairs(from + j * column, column, panel + tile(j));
    } else {
      std::fill_n(panel, kWords, uint16_t{0});
      for (int64_t q = 0; q < count; ++q)
        for (int64_t j = 0; j < columns; ++j) panel[q / 2 * kStep + tile(j) + q % 2] = from[q * row + j * column];
    }
  }
}

class AmxGemm : public LibraryStep {
 public:
  explicit AmxGemm(const GemmShape& s) : s_(s), threads_(threads()) {
    if (!amx_takes(s)) throw std::invalid_argument("gemm: only bfloat16, on a CPU with AMX that the system lets us use, of matrices that can be copied");
    const double work = static_cast<double>(s.batch) * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
    if (work < 5e5) threads_ = 1;
    row_panels_ = up(s.m, kBlock);
    column_panels_ = up(s.n, kBlock);
    panel_ = up(s.k, kStep) * kWords;
    a_batches_ = s.a_batch == 0 ? std::min<int64_t>(1, s.batch) : s.batch;
    b_batches_ = s.b_batch == 0 ? std::min<int64_t>(1, s.batch) : s.batch;
    const int64_t panels = a_batches_ * row_panels_ + b_batches_ * column_panels_;
    packed_ = Scratch(panels * panel_ * static_cast<int64_t>(sizeof(uint16_t)));
    sums_ = Scratch(threads_ * kRows * kColumns * static_cast<int64_t>(sizeof(float)));
  }

  void run(char* const* operands) override {
    uint16_t* const packed = reinterpret_cast<uint16_t*>(packed_.data());
    const int64_t of_a = a_batches_ * row_panels_, of_b = b_batches_ * column_panels_;
    parallel(of_a + of_b, up(8192, std::max<int64_t>(1, panel_)), threads_, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t unit = begin; unit < end; ++unit) pack(operands, unit, packed + unit * panel_);
    });
    const int64_t down = up(s_.m, kRows), across = up(s_.n, kColumns);
    parallel(s_.batch * down * across, 1, threads_, [&](int64_t begin, int64_t end, int thread) noexcept {
      take_tiles();
      for (int64_t unit = begin; unit < end; ++unit)
        multiply(operands, unit / across / down, unit / across % down, unit % across, thread);
      release_tiles();
    });
  }

 private:
  void pack(char* const* operands, int64_t unit, uint16_t* panel) const {
    const int64_t of_a = a_batches_ * row_panels_;
    if (unit < of_a) {
      const int64_t batch = unit / row_panels_, i = unit % row_panels_ * kBlock;
      const uint16_t* a = reinterpret_cast<const uint16_t*>(operands[0]) + batch * s_.a_batch + i * s_.a_row;
      pack_rows(panel, a, s_.a_row, s_.a_col, std::min(kBlock, s_.m - i), s_.k);
    } else {
      const int64_t batch = (unit - of_a) / column_panels_, j = (unit - of_a) % column_panels_ * kBlock;
      const uint16_t* b = reinterpret_cast<const uint16_t*>(operands[1]) + batch * s_.b_batch + j * s_.b_col;
      pack_columns(panel, b, s_.b_row, s_.b_col, std::min(kBlock, s_.n - j), s_.k);
    }
  }

  void multiply(char* const* operands, int64_t batch, int64_t row, int64_t column, int thread) noexcept {
    const uint16_t* const packed = reinterpret_cast<const uint16_t*>(packed_.data());
    const uint16_t* const a = packed + (a_batches_ == 1 ? 0 : batch) * row_panels_ * panel_;
    const uint16_t* const b = packed + (a_batches_ * row_panels_ + (b_batches_ == 1 ? 0 : batch) * column_panels_) * panel_;
    float* const sums = reinterpret_cast<float*>(sums_.data()) + thread * kRows * kColumns;
    constexpr int64_t high = kRows / kBlock, wide = kColumns / kBlock;
    const int64_t i0 = row * high, i1 = std::min(i0 + high, row_panels_);
    const int64_t j0 = column * wide, j1 = std::min(j0 + wide, column_panels_);
    const int64_t steps = panel_ / kWords, spans = std::max<int64_t>(1, up(steps * kStep, kSpan));
    for (int64_t span = 0; span < spans; ++span) {
      const int64_t first = span * steps / spans, last = (span + 1) * steps / spans;
      for (int64_t j = j0; j < j1; ++j)
        for (int64_t i = i0; i < i1; ++i) {
          float* const block = sums + ((i - i0) * wide + j - j0) * kBlock * kBlock;
          multiply_block(a + i * panel_ + first * kWords, b + j * panel_ + first * kWords, last - first, block, span > 0);
          if (span + 1 == spans) finish(operands, batch, i * kBlock, j * kBlock, block);
        }
    }
  }

  void finish(char* const* operands, int64_t batch, int64_t i, int64_t j, const float* sums) const {
    bf16* out = reinterpret_cast<bf16*>(s_.out(operands)) + (batch * s_.m + i) * s_.n + j;
    const bf16* bias = s_.bias ? reinterpret_cast<const bf16*>(operands[2]) + j : nullptr;
    const int64_t rows = std::min(kBlock, s_.m - i), columns = std::min(kBlock, s_.n - j);
    for (int64_t r = 0; r < rows; ++r) round_row(out + r * s_.n, sums + r * kBlock, bias, columns);
  }

  GemmShape s_;
  int threads_;
  int64_t row_panels_, column_panels_;  // of a and b
  int64_t panel_;                       // words of a packed panel
  int64_t a_batches_, b_batches_;       // one where all batches share a matrix
  Scratch packed_, sums_;
};

}  // namespace

// Not what could not be packed: a matrix with strides of 0 is larger than its memory.
bool amx_takes(const GemmShape& s) {
  const double words = static_cast<double>(s.batch) * static_cast<double>(s.m + s.n + 2 * kBlock) *
                       static_cast<double>(s.k + kStep);
  return words < 0x1p44 && s.dtype == DType::bf16 && cpu_has("amx-bf16") && cpu_has("amx-tile") && cpu_has("avx512bf16") &&
         tiles_allowed();
}

std::unique_ptr<LibraryStep> amx_gemm(const GemmShape& shape) { return std::make_unique<AmxGemm>(shape); }

}  // namespace axon::cpu
