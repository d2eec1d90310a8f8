#include "bench/bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace axon::bench {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double>& times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

std::vector<Memory> zeros(int32_t count, const auto& slot_of) {
  std::vector<Memory> memory;
  for (int32_t i = 0; i < count; ++i) {
    memory.emplace_back(slot_of(i).nbytes);
    std::memset(memory.back().data(), 0, static_cast<size_t>(slot_of(i).nbytes));
  }
  return memory;
}

}  // namespace

Times time_program(const Program& program) {
  const Description& description = program.description();
  const std::vector<Memory> in = zeros(description.inputs, [&](int32_t i) { return program.input(i); });
  const std::vector<Memory> out = zeros(description.outputs, [&](int32_t j) { return program.output(j); });
  std::vector<char*> inputs, outputs;
  for (const Memory& memory : in) inputs.push_back(memory.data());
  for (const Memory& memory : out) outputs.push_back(memory.data());
  std::unique_ptr<Context> context = program.acquire();
  program.run(*context, inputs.data(), outputs.data());
  std::vector<double> seconds;
  for (const double start = now(); now() < start + 1 || seconds.size() < 5;) {
    const double before = now();
    program.run(*context, inputs.data(), outputs.data());
    seconds.push_back(now() - before);
  }
  std::vector<std::vector<double>> of_steps;
  RunOptions options;
  std::vector<double> profile;
  options.seconds = &profile;
  for (size_t run = 0; run < std::min<size_t>(seconds.size(), 101); ++run) {
    program.run(*context, inputs.data(), outputs.data(), options);
    of_steps.resize(profile.size());
    for (size_t i = 0; i < profile.size(); ++i) of_steps[i].push_back(profile[i]);
  }
  Times times{median(seconds), *std::min_element(seconds.begin(), seconds.end()), static_cast<int>(seconds.size())};
  for (std::vector<double>& step : of_steps) times.steps.push_back(median(step));
  return times;
}

std::vector<std::string> step_labels(const Program& program) {
  std::vector<std::string> labels;
  for (const Step& step : program.description().steps)
    labels.push_back(std::visit(
        [](const auto& kind) -> std::string {
          using Kind = std::decay_t<decltype(kind)>;
          if constexpr (std::is_same_v<Kind, WhileStep>) return "while";
          else if constexpr (std::is_same_v<Kind, CondStep>) return "cond";
          else if constexpr (std::is_same_v<Kind, ScanStep>) return "scan of " + std::to_string(kind.length);
          else if constexpr (std::is_same_v<Kind, KernelStep>) return "kernel: " + kind.label;
          else return kind.label;
        },
        step.kind));
  return labels;
}

double fastest(const std::function<void()>& call) {
  double best = 1;
  int64_t calls = 1;
  for (const double start = now(); now() < start + 0.02;) {
    const double before = now();
    for (int64_t i = 0; i < calls; ++i) call();
    const double spent = now() - before;
    best = std::min(best, spent / static_cast<double>(calls));
    if (spent < 2e-4) calls *= 2;
  }
  return best;
}

Description library_program(const std::string& symbol, const std::vector<int64_t>& nbytes, std::vector<int64_t> ints) {
  Description description;
  LibraryStepCall step{symbol, {}, std::move(ints), {}, symbol};
  for (size_t i = 0; i < nbytes.size(); ++i) {
    const bool last = i + 1 == nbytes.size();
    description.slots.push_back({last ? Slot::Kind::output : Slot::Kind::input, last ? 0 : static_cast<int64_t>(i),
                                 last ? -1 : 0, nbytes[i]});
    step.slots.push_back(static_cast<int32_t>(i));
  }
  description.inputs = static_cast<int32_t>(nbytes.size()) - 1;
  description.outputs = 1;
  description.steps.push_back({std::move(step)});
  description.label = symbol;
  return description;
}

void print(const std::string& what, const Times& times, double amount, const char* unit) {
  std::printf("%-36s median %9.3f us   best %9.3f us   %6d runs", what.c_str(), times.median * 1e6, times.best * 1e6,
              times.runs);
  if (amount > 0) std::printf("   %8.1f %s", amount / times.median * 1e-9, unit);
  std::printf("\n");
}

}  // namespace axon::bench
