#include "runtime/saved.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "runtime/sha256.h"
#include "test.h"

using namespace axon;

namespace {

std::string hex(const Digest& digest) {
  std::string text;
  for (const uint8_t byte : digest) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    text += two;
  }
  return text;
}

struct TemporaryFile {
  TemporaryFile() : path("/tmp/axon-test-" + std::to_string(getpid())) {}
  ~TemporaryFile() { std::remove(path.c_str()); }
  std::string bytes() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  std::string path;
};

Description nested() {
  Description description;
  description.slots = {{Slot::Kind::input, 0, 0, 8}, {Slot::Kind::output, 0, 0, 8}, {Slot::Kind::slice, 0, 4, 4},
                       {Slot::Kind::arena, 64, 0, 4}};
  ScanStep scan{2, true, {}, {{{3, 2}}}, {2}};
  scan.body.push_back({CondStep{2, {{}, {{WhileStep{{}, 3, {}, {}}}}}}});
  description.steps.push_back({scan});
  description.arena_bytes = 128;
  description.inputs = description.outputs = 1;
  description.label = "nested";
  return description;
}

}  // namespace

TEST("SHA-256 gives the digests of the standard") {
  CHECK(hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::string abc = "abc";
  CHECK(hex(sha256(abc)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1'000'000, 'a');
  CHECK(hex(sha256(million)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  CHECK(hex(sha256(two_blocks)) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST("a program comes back as it was saved") {
  const TemporaryFile file;
  save_program(file.path, nested());
  const Description back = load_program(file.path);
  const Program program(back);
  CHECK(back.label == "nested" && back.slots.size() == 4 && back.slots[1].b == 0 && back.slots[2].kind == Slot::Kind::slice);
  const ScanStep& scan = std::get<ScanStep>(back.steps[0].kind);
  CHECK(scan.length == 2 && scan.reverse && scan.slices == std::vector<int32_t>{2} && scan.moves.list[0].source == 2);
  const CondStep& cond = std::get<CondStep>(scan.body[0].kind);
  CHECK(cond.branches.size() == 2 && std::get<WhileStep>(cond.branches[1][0].kind).predicate == 3);
}

TEST("files that are foreign, damaged or of another version are refused") {
  const TemporaryFile file;
  CHECK_THROWS(load_program("/no/such/file"), "cannot be read");
  CHECK_THROWS(save_program("/no/such/folder/file", nested()), "cannot be written");
  file.write("a text");
  CHECK_THROWS(load_program(file.path), "no program of axon");
  save_program(file.path, nested());
  const std::string good = file.bytes();
  for (size_t i = 8; i < good.size(); i += 7) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    file.write(bad);
    CHECK_THROWS(load_program(file.path), i < 16 ? "version" : "damaged");
  }
  file.write(good.substr(0, good.size() - 1));
  CHECK_THROWS(load_program(file.path), "damaged");
  file.write(good + "x");
  CHECK_THROWS(load_program(file.path), "damaged");
}

TEST("what a file cannot hold is refused") {
  const TemporaryFile file;
  Description host = nested();
  host.steps.push_back({HostStep{[](char* const*) {}, {}, "print"}});
  CHECK_THROWS(save_program(file.path, host), "print runs in Python");
  Description own = nested();
  own.steps.push_back({KernelStep{std::make_shared<Kernel>(nullptr), {}, 1, 0, "own"}});
  CHECK_THROWS(save_program(file.path, own), "no library");
}
