#include "runtime/saved.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "runtime/features.h"
#include "runtime/sha256.h"

namespace axon {
namespace {

constexpr char kMagic[8] = {'A', 'X', 'O', 'N', 'P', 'R', 'O', 'G'};
constexpr uint64_t kVersion = 3;

struct Header {
  char magic[8];
  uint64_t version;
  uint64_t length;
  Digest digest;
};

struct Writer {
  static constexpr bool reading = false;
  std::vector<char> bytes;
  std::vector<std::shared_ptr<Kernel>> kernels;  // by number

  void raw(const void* data, size_t size) {
    const char* start = static_cast<const char*>(data);
    bytes.insert(bytes.end(), start, start + size);
  }

  int32_t number_of(const std::shared_ptr<Kernel>& kernel) {
    const auto number = std::find(kernels.begin(), kernels.end(), kernel) - kernels.begin();
    if (number == std::ssize(kernels)) kernels.push_back(kernel);
    return static_cast<int32_t>(number);
  }
};

struct Reader {
  static constexpr bool reading = true;
  std::span<const char> bytes;
  std::vector<std::shared_ptr<Kernel>> kernels;  // by number

  void raw(void* data, size_t size) {
    if (size > bytes.size()) throw std::invalid_argument("it ends too soon");
    if (size != 0) std::memcpy(data, bytes.data(), size);
    bytes = bytes.subspan(size);
  }
};

// One function a type for both directions: what is written and what is read cannot part.
template <class Archive, class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
void exchange(Archive& archive, T& value) {
  archive.raw(&value, sizeof value);
}

template <class Archive>
void exchange(Archive& archive, bool& value) {
  uint8_t byte = value ? 1 : 0;
  exchange(archive, byte);
  value = byte != 0;
}

template <class Archive, class List>
void exchange_size(Archive& archive, List& list) {
  uint64_t size = list.size();
  exchange(archive, size);
  if constexpr (Archive::reading) {
    // An element takes a byte at least, so that a size that lies asks for no memory.
    if (size > archive.bytes.size()) throw std::invalid_argument("it ends too soon");
    list.resize(size);
  }
}

template <class Archive>
void exchange(Archive& archive, std::string& text) {
  exchange_size(archive, text);
  archive.raw(text.data(), text.size());
}

template <class Archive, class T>
void exchange(Archive& archive, std::vector<T>& list);
template <class Archive>
void exchange(Archive& archive, Step& step);

template <class Archive>
void exchange(Archive& archive, Slot& slot) {
  exchange(archive, slot.kind), exchange(archive, slot.a), exchange(archive, slot.b), exchange(archive, slot.nbytes);
}

template <class Archive>
void exchange(Archive& archive, Move& move) {
  exchange(archive, move.destination), exchange(archive, move.source);
}

template <class Archive>
void exchange(Archive& archive, KernelCall& call) {
  exchange(archive, call.slots), exchange(archive, call.ints), exchange(archive, call.literals);
  exchange(archive, call.units);
}

template <class Archive>
void exchange(Archive& archive, KernelStep& step) {
  int32_t number = 0;
  if constexpr (!Archive::reading) number = archive.number_of(step.kernel);
  exchange(archive, number);
  if constexpr (Archive::reading) {
    if (number < 0 || static_cast<size_t>(number) >= archive.kernels.size())
      throw std::invalid_argument("a step has no kernel");
    step.kernel = archive.kernels[static_cast<size_t>(number)];
  }
  exchange(archive, step.calls), exchange(archive, step.grain), exchange(archive, step.scratch);
  exchange(archive, step.label), exchange(archive, step.parts), exchange(archive, step.along);
}

template <class Archive>
void exchange(Archive& archive, LibraryStepCall& step) {
  exchange(archive, step.symbol), exchange(archive, step.slots), exchange(archive, step.ints);
  exchange(archive, step.floats), exchange(archive, step.label);
}

template <class Archive>
void exchange(Archive&, HostStep& step) {
  throw std::invalid_argument("step " + step.label + " runs in Python, which a file cannot hold");
}

template <class Archive>
void exchange(Archive& archive, WhileStep& step) {
  exchange(archive, step.condition), exchange(archive, step.predicate), exchange(archive, step.body);
  exchange(archive, step.moves.list);
}

template <class Archive>
void exchange(Archive& archive, CondStep& step) {
  exchange(archive, step.index), exchange(archive, step.branches);
}

template <class Archive>
void exchange(Archive& archive, ScanStep& step) {
  exchange(archive, step.length), exchange(archive, step.reverse), exchange(archive, step.body);
  exchange(archive, step.moves.list), exchange(archive, step.slices);
}

template <size_t I = 0>
void choose(decltype(Step::kind)& kind, size_t index) {
  if constexpr (I == std::variant_size_v<decltype(Step::kind)>)
    throw std::invalid_argument("a step is of no known kind");
  else if (index == I)
    kind.template emplace<I>();
  else
    choose<I + 1>(kind, index);
}

template <class Archive>
void exchange(Archive& archive, Step& step) {
  static thread_local int depth = 0;
  struct Deeper {
    Deeper() { ++depth; }
    ~Deeper() { --depth; }
  } const deeper;
  if (depth > kDeepest) throw std::invalid_argument("its steps are nested too deep");
  uint8_t kind = static_cast<uint8_t>(step.kind.index());
  exchange(archive, kind);
  if constexpr (Archive::reading) choose(step.kind, kind);
  std::visit([&archive](auto& value) { exchange(archive, value); }, step.kind);
}

template <class Archive, class T>
void exchange(Archive& archive, std::vector<T>& list) {
  exchange_size(archive, list);
  for (T& element : list) exchange(archive, element);
}

template <class Archive>
void exchange(Archive& archive, Description& description) {
  exchange(archive, description.slots), exchange(archive, description.steps), exchange(archive, description.arena_bytes);
  exchange(archive, description.inputs), exchange(archive, description.outputs), exchange(archive, description.label);
}

std::vector<std::string> features() {
  const std::vector<std::string_view> names = cpu_features();
  return {names.begin(), names.end()};
}

// The tables that the description's kernel numbers mean: libraries, and each kernel's library and symbol.
std::vector<char> write_tables(const std::vector<std::shared_ptr<Kernel>>& kernels) {
  std::vector<Kernel::Origin> origins;
  std::vector<std::shared_ptr<const KernelLibrary>> libraries;
  for (const std::shared_ptr<Kernel>& kernel : kernels) {
    origins.push_back(kernel->origin());
    if (origins.back().library == nullptr) throw std::invalid_argument("a kernel that came from no library cannot be saved");
    libraries.push_back(origins.back().library);
  }
  std::sort(libraries.begin(), libraries.end());
  libraries.erase(std::unique(libraries.begin(), libraries.end()), libraries.end());

  Writer tables;
  std::vector<std::string> needed = features();
  exchange(tables, needed);
  uint64_t count = libraries.size();
  exchange(tables, count);
  for (const auto& library : libraries) {
    std::vector<char> bytes = library->bytes;
    exchange(tables, bytes);
  }
  count = origins.size();
  exchange(tables, count);
  for (Kernel::Origin& origin : origins) {
    uint64_t library = static_cast<uint64_t>(
        std::lower_bound(libraries.begin(), libraries.end(), origin.library) - libraries.begin());
    exchange(tables, library), exchange(tables, origin.symbol);
  }
  return std::move(tables.bytes);
}

void read_tables(Reader& reader) {
  std::vector<std::string> needed;
  exchange(reader, needed);
  const std::vector<std::string> present = features();
  for (const std::string& feature : needed)
    if (std::find(present.begin(), present.end(), feature) == present.end())
      throw std::invalid_argument("it was saved on a CPU with " + feature + ", which this one lacks");
  uint64_t count = 0;
  exchange(reader, count);
  std::vector<std::shared_ptr<const KernelLibrary>> libraries;
  for (uint64_t i = 0; i < count; ++i) {
    std::vector<char> bytes;
    exchange(reader, bytes);
    libraries.push_back(std::make_shared<KernelLibrary>(std::move(bytes)));
  }
  exchange(reader, count);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t library = 0;
    std::string symbol;
    exchange(reader, library), exchange(reader, symbol);
    if (library >= libraries.size()) throw std::invalid_argument("a kernel has no library");
    reader.kernels.push_back(std::make_shared<Kernel>(libraries[library], symbol));
  }
}

}  // namespace

void save_program(const std::string& path, const Description& description) {
  Writer steps;
  Description copy = description;
  exchange(steps, copy);
  std::vector<char> bytes = write_tables(steps.kernels);
  bytes.insert(bytes.end(), steps.bytes.begin(), steps.bytes.end());
  Header header{{}, kVersion, bytes.size(), sha256(bytes)};
  std::memcpy(header.magic, kMagic, sizeof kMagic);

  // Written aside and renamed, so that no reader sees half a file.
  const std::string temporary = path + "." + std::to_string(getpid());
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    std::remove(temporary.c_str());
    throw std::runtime_error("save: " + path + " cannot be written");
  }
}

Description load_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::invalid_argument("load: " + path + " cannot be read");
  try {
    if (std::filesystem::is_directory(path)) throw std::invalid_argument("it is a folder, no program of axon");
    Header header{};
    if (!file.read(reinterpret_cast<char*>(&header), sizeof header) || std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
      throw std::invalid_argument("it is no program of axon");
    if (header.version != kVersion)
      throw std::invalid_argument("it is of version " + std::to_string(header.version) + ", this axon reads version " +
                                  std::to_string(kVersion) + "; save it again");
    // The length is compared before the rest is read: a length that lies asks for no memory.
    const uint64_t length = std::filesystem::file_size(path) - sizeof header;
    std::vector<char> rest(header.length == length ? length : 0);
    if (header.length != length || !file.read(rest.data(), static_cast<std::streamsize>(length)) ||
        header.digest != sha256(rest))
      throw std::invalid_argument("it is damaged; save it again");
    Reader reader{rest, {}};
    read_tables(reader);
    Description description;
    exchange(reader, description);
    if (!reader.bytes.empty()) throw std::invalid_argument("it is too long");
    return description;
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("load: " + path + ": " + error.what());
  }
}

}  // namespace axon
