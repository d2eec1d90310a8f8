#include "runtime/library.h"
#include "test.h"

namespace {

struct AddOne : axon::LibraryStep {
  explicit AddOne(const axon::LibraryCall& call) : count(call.nbytes[0]) {
    if (call.nbytes[1] != count) throw std::invalid_argument("sizes differ");
  }
  void run(char* const* operands) override {
    for (int64_t i = 0; i < count; ++i) operands[1][i] = static_cast<char>(operands[0][i] + 1);
  }
  int64_t count;
};
AXON_LIBRARY("test.add_one", AddOne)

}  // namespace

TEST("a library step is found by its symbol, planned, and run") {
  axon::LibraryFactory make = axon::find_library_factory("test.add_one");
  const int64_t sizes[] = {3, 3};
  char in[] = {1, 2, 3}, out[3] = {};
  char* operands[] = {in, out};
  make({sizes, {}, {}})->run(operands);
  CHECK(out[0] == 2 && out[1] == 3 && out[2] == 4);
}

TEST("a library step may refuse its sizes") {
  const int64_t sizes[] = {3, 4};
  CHECK_THROWS(axon::find_library_factory("test.add_one")({sizes, {}, {}}), "sizes differ");
}

TEST("a symbol is registered once") {
  CHECK_THROWS(axon::LibraryRegistration("test.add_one", nullptr), "registered twice: test.add_one");
}
