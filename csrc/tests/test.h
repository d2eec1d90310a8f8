// The whole test framework: TEST("name") { CHECK(condition); CHECK_THROWS(expression, "part of the message"); }
#pragma once
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace axon::test {

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

}  // namespace axon::test

#define AXON_JOIN2(a, b) a##b
#define AXON_JOIN(a, b) AXON_JOIN2(a, b)
#define TEST(name) TEST_NAMED(name, AXON_JOIN(axon_test_, __LINE__))
#define TEST_NAMED(name, function)                                   \
  static void function();                                           \
  static const ::axon::test::Register AXON_JOIN(function, _entry){name, function}; \
  static void function()
#define CHECK(condition) \
  if (!(condition)) ::axon::test::fail(__FILE__, __LINE__, "CHECK(" #condition ") is false")
#define CHECK_THROWS(expression, part)                                                               \
  {                                                                                                  \
    std::string message = "nothing was thrown";                                                      \
    try {                                                                                            \
      static_cast<void>(expression);                                                                 \
    } catch (const std::exception& error) {                                                          \
      message = error.what();                                                                        \
    }                                                                                                \
    if (message.find(part) == std::string::npos) ::axon::test::fail(__FILE__, __LINE__, message);    \
  }
