// axon-bench: times the runtime's parts and saved programs without Python.
#include <cstdio>

int main() {
  std::puts("usage: axon-bench");
  return 2;
}
