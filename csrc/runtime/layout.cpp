// Program's constructor: every check a run relies on, and the layout of a context's table of pointers.
#include <algorithm>
#include <limits>

#include "runtime/program.h"

namespace axon {
namespace {

constexpr int64_t kMost = int64_t{1} << 46;  // bytes or units: far above any machine, far below overflow

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("Program: " + what); }

std::string number(int64_t value) { return std::to_string(value); }

}  // namespace

class Layout {
 public:
  explicit Layout(Program& program) : program_(program), description_(program.description_) {
    if (description_.slots.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) refuse("too many slots");
    active_.resize(description_.slots.size());
    program_.uses_.resize(description_.slots.size());
    slots();
    steps(description_.steps);
  }

 private:
  void slots() {
    Description& d = description_;
    if (d.arena_bytes < 0 || d.arena_bytes > kMost) refuse("arena of " + number(d.arena_bytes) + " bytes");
    if (d.inputs < 0 || d.outputs < 0) refuse("a negative number of inputs or outputs");
    std::vector<int32_t>& inputs = program_.input_slots_;
    std::vector<int32_t>& outputs = program_.output_slots_;
    if (static_cast<size_t>(d.inputs) > d.slots.size() || static_cast<size_t>(d.outputs) > d.slots.size())
      refuse("more inputs or outputs than slots");
    inputs.assign(static_cast<size_t>(d.inputs), -1);
    outputs.assign(static_cast<size_t>(d.outputs), -1);
    for (size_t i = 0; i < d.slots.size(); ++i) {
      const Slot& slot = d.slots[i];
      const std::string name = "slot " + std::to_string(i);
      if (slot.nbytes < 0 || slot.nbytes > kMost) refuse(name + " has " + number(slot.nbytes) + " bytes");
      switch (slot.kind) {
        case Slot::Kind::input: claim(inputs, slot.a, i, name + ", an input,"); break;
        case Slot::Kind::output: claim(outputs, slot.a, i, name + ", an output,"); break;
        case Slot::Kind::arena:
          if (slot.a < 0 || slot.a % kAlignment != 0 || slot.a > d.arena_bytes || slot.nbytes > d.arena_bytes - slot.a)
            refuse(name + " at " + number(slot.a) + " does not lie in the arena, or not at a multiple of 64");
          break;
        case Slot::Kind::slice:
          // An earlier parent makes chains end.
          if (slot.a < 0 || slot.a >= static_cast<int64_t>(i) || slot.b < 0 || slot.b > kMost)
            refuse(name + ", a slice, needs an earlier slot as parent and a stride of at least 0");
          break;
        default: refuse(name + " is of no known kind");
      }
    }
    all_claimed(inputs, "input");
    all_claimed(outputs, "output");
    donors();
  }

  static void claim(std::vector<int32_t>& owners, int64_t position, size_t slot, const std::string& name) {
    if (position < 0 || position >= static_cast<int64_t>(owners.size())) refuse(name + " has position " + number(position));
    int32_t& owner = owners[static_cast<size_t>(position)];
    if (owner >= 0) refuse(name + " has the position of slot " + number(owner));
    owner = static_cast<int32_t>(slot);
  }

  static void all_claimed(const std::vector<int32_t>& owners, const char* what) {
    for (size_t i = 0; i < owners.size(); ++i)
      if (owners[i] < 0) refuse(std::string(what) + " " + std::to_string(i) + " has no slot");
  }

  void donors() {
    std::vector<bool> taken(program_.input_slots_.size());
    for (const int32_t index : program_.output_slots_) {
      const Slot& slot = description_.slots[static_cast<size_t>(index)];
      if (slot.b == -1) continue;
      if (slot.b < 0 || slot.b >= description_.inputs) refuse("output " + number(slot.a) + " names no input as donor");
      const size_t donor = static_cast<size_t>(slot.b);
      if (program_.input(static_cast<int32_t>(donor)).nbytes != slot.nbytes)
        refuse("output " + number(slot.a) + " and its donor differ in size");
      if (taken[donor]) refuse("two outputs have input " + number(slot.b) + " as donor");
      taken[donor] = true;
    }
  }

  const Slot& slot(int64_t index, const char* user) const {
    if (index < 0 || index >= static_cast<int64_t>(description_.slots.size()))
      refuse(std::string(user) + " uses slot " + number(index) + ", which does not exist");
    const Slot& found = description_.slots[static_cast<size_t>(index)];
    if (found.kind == Slot::Kind::slice && !active_[static_cast<size_t>(index)])
      refuse(std::string(user) + " uses slice slot " + number(index) + " outside the scan that moves it");
    return found;
  }

  TableOffset operands(const std::vector<int32_t>& slots, const char* user) {
    const TableOffset first = program_.table_size_;
    if (slots.size() > static_cast<size_t>(std::numeric_limits<TableOffset>::max() - first)) refuse("too many operands");
    for (const int32_t index : slots) {
      slot(index, user);
      program_.uses_[static_cast<size_t>(index)].push_back(program_.table_size_++);
    }
    return first;
  }

  void steps(Steps& list) {
    for (Step& step : list) std::visit([this](auto& kind) { add(kind); }, step.kind);
    for (size_t i = 0; i < list.size(); ++i)
      if (const auto* first = std::get_if<KernelStep>(&list[i].kind); first != nullptr) check_parts(list, i, *first);
  }

  void check_parts(const Steps& list, size_t i, const KernelStep& first) {
    if (first.parts < 1 || first.along < 0 || first.along >= std::ssize(list) - static_cast<int64_t>(i))
      refuse("kernel step " + first.label + ": bad number of parts, or of steps that go along");
    for (size_t k = i; first.along > 0 && k <= i + static_cast<size_t>(first.along); ++k) {
      const auto* step = std::get_if<KernelStep>(&list[k].kind);
      if (step == nullptr || step->calls.size() != 1 || step->calls[0].units % first.parts != 0)
        refuse("kernel step " + first.label + ": step " + std::to_string(k) + " cannot go along in equal parts");
    }
  }

  void add(KernelStep& step) {
    if (step.kernel == nullptr) refuse("kernel step " + step.label + " has no kernel");
    if (step.grain < 1) refuse("kernel step " + step.label + " has grain " + number(step.grain));
    if (step.scratch < 0 || step.scratch > kMost) refuse("kernel step " + step.label + ": bad number of scratch bytes");
    step.ends.clear();
    step.nbytes = 0;
    int64_t total = 0;
    for (KernelCall& call : step.calls) {
      if (call.units < 0 || call.units > kMost || total + call.units > kMost)
        refuse("kernel step " + step.label + ": bad number of units");
      call.operands = operands(call.slots, step.label.c_str());
      step.ends.push_back(total += call.units);
      for (const int32_t index : call.slots)
        step.nbytes = std::min(step.nbytes + description_.slots[static_cast<size_t>(index)].nbytes, kMost);
    }
    program_.scratch_bytes_ = std::max(program_.scratch_bytes_, step.scratch);
  }

  void add(LibraryStepCall& step) {
    find_library_factory(step.symbol.c_str());  // refuses an unknown symbol now rather than at the first run
    step.operands = operands(step.slots, step.label.c_str());
    step.object = program_.library_calls_.size();
    program_.library_calls_.push_back(&step);
  }

  void add(HostStep& step) {
    if (!step.function) refuse("host step " + step.label + " has no function");
    step.operands = operands(step.slots, step.label.c_str());
  }

  void add(WhileStep& step) {
    steps(step.condition);
    if (slot(step.predicate, "while").nbytes < 1) refuse("the predicate of a while has no byte");
    steps(step.body);
    moves(step.moves);
  }

  void add(CondStep& step) {
    if (slot(step.index, "cond").nbytes < 4) refuse("the index of a cond is no int32");
    if (step.branches.empty()) refuse("a cond needs a branch");
    for (Steps& branch : step.branches) steps(branch);
  }

  void add(ScanStep& step) {
    if (step.length < 0 || step.length > kMost) refuse("a scan of length " + number(step.length));
    for (const int32_t index : step.slices) {
      if (index < 0 || static_cast<size_t>(index) >= active_.size()) refuse("a scan moves slot " + number(index));
      const Slot& slice = description_.slots[static_cast<size_t>(index)];
      if (slice.kind != Slot::Kind::slice || active_[static_cast<size_t>(index)])
        refuse("a scan moves slot " + number(index) + ", which is no slice or already moved by a scan around it");
      const Slot& parent = slot(slice.a, "slice");
      const int64_t last = step.length > 0 ? step.length - 1 : 0;
      if (slice.b != 0 && last > kMost / slice.b) refuse("slice slot " + number(index) + " leaves its parent");
      if (step.length > 0 && last * slice.b + slice.nbytes > parent.nbytes)
        refuse("slice slot " + number(index) + " leaves its parent");
      active_[static_cast<size_t>(index)] = true;
    }
    steps(step.body);
    moves(step.moves);
    for (const int32_t index : step.slices) active_[static_cast<size_t>(index)] = false;
  }

  void moves(Moves& moves) {
    int64_t bytes = 0;
    for (const Move& move : moves.list) {
      const Slot& destination = slot(move.destination, "a move");
      if (destination.nbytes != slot(move.source, "a move").nbytes)
        refuse("slots " + number(move.destination) + " and " + number(move.source) + " of a move differ in size");
      if (root(move.destination).kind == Slot::Kind::input) refuse("a move writes to an input");
      bytes += (destination.nbytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    moves.staged = !in_order(moves.list);
    if (moves.staged) program_.staging_bytes_ = std::max(program_.staging_bytes_, bytes);
  }

  // Brings moves into an order in which none writes what a later one reads. False where there is none.
  bool in_order(std::vector<Move>& list) const {
    for (auto next = list.begin(); next != list.end(); ++next) {
      const auto found = std::find_if(next, list.end(), [&](const Move& move) {
        return std::none_of(next, list.end(), [&](const Move& other) {
          return &other != &move && may_overlap(other.source, move.destination);
        });
      });
      if (found == list.end()) return false;
      std::rotate(next, found, found + 1);
    }
    return true;
  }

  const Slot& root(int64_t index) const {
    const Slot* found = &description_.slots[static_cast<size_t>(index)];
    while (found->kind == Slot::Kind::slice) found = &description_.slots[static_cast<size_t>(found->a)];
    return *found;
  }

  bool may_overlap(int64_t first, int64_t second) const {
    const Slot &a = root(first), &b = root(second);
    if (&a == &b) return true;
    if (a.kind == Slot::Kind::arena && b.kind == Slot::Kind::arena) return a.a < b.a + b.nbytes && b.a < a.a + a.nbytes;
    if (a.kind == Slot::Kind::input && b.kind == Slot::Kind::output) return b.b == a.a;
    if (a.kind == Slot::Kind::output && b.kind == Slot::Kind::input) return a.b == b.a;
    return false;
  }

  Program& program_;
  Description& description_;
  std::vector<bool> active_;  // slices moved by a scan around the step that is being looked at
};

Program::Program(Description description, Device& device) : description_(std::move(description)), device_(device) {
  Layout layout(*this);
}

}  // namespace axon
