#include "services/common/provider/attachments.h"

#include <gtest/gtest.h>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using chat::v1::ChatRequest;
using chat::v1::File;
using chat::v1::Role;

constexpr char kPng[] = "\x89PNG\r\n\x1a\nrest";

ChatRequest Empty(int messages = 1) {
  ChatRequest request;
  for (int i = 0; i < messages; ++i) {
    request.add_messages()->set_role(Role::ROLE_USER);
    request.mutable_messages(i)->add_parts()->set_text("x");
  }
  return request;
}
void AddImage(ChatRequest& request, int message, std::string bytes) {
  request.mutable_messages(message)->add_parts()->mutable_image()->set_data(std::move(bytes));
}
File& AddFile(ChatRequest& request, std::string name, std::string bytes) {
  File& file = *request.mutable_messages(0)->add_parts()->mutable_file();
  file.set_filename(std::move(name));
  file.set_data(std::move(bytes));
  return file;
}
std::string Fault(const ChatRequest& request, bool takes_files = true) {
  const absl::Status status = AttachmentsOf(request, takes_files).status();
  return status.ok() ? "" : DetailOf(status).field() + " " + ReasonName(ReasonOf(status));
}

TEST(Attachments, PicturesAreWhatTheirBytesSay) {
  ChatRequest request = Empty(2);
  AddImage(request, 0, kPng);
  request.mutable_messages(0)->mutable_parts(1)->mutable_image()->set_media_type("image/tiff");  // a claim, and wrong
  AddImage(request, 1, "\xff\xd8\xff\xe0");
  auto images = AttachmentsOf(request, false);
  ASSERT_TRUE(images.ok()) << images.status();
  ASSERT_EQ(images->size(), 2u);
  EXPECT_TRUE((*images)[0].image);
  EXPECT_EQ((*images)[0].media_type, "image/png");
  EXPECT_EQ((*images)[0].filename, "image1.png");
  EXPECT_EQ((*images)[0].field, "messages[0].content[1]");
  EXPECT_EQ((*images)[0].bytes, kPng);
  EXPECT_EQ((*images)[1].media_type, "image/jpeg");
  EXPECT_EQ((*images)[1].filename, "image2.jpg");
  // A conversation that goes on has the earlier ones already.
  request.set_conversation_id("c");
  images = AttachmentsOf(request, false);
  ASSERT_EQ(images->size(), 1u);
  EXPECT_EQ((*images)[0].media_type, "image/jpeg");
}

TEST(Attachments, WhatIsNoPictureIsRefusedByName) {
  for (const std::string& bytes :
       {std::string(), std::string("GIF"), std::string("<svg/>"), std::string("RIFF1234WAVE"), std::string("%PDF-1")}) {
    ChatRequest request = Empty();
    AddImage(request, 0, bytes);
    EXPECT_EQ(Fault(request), "messages[0].content[1] invalid_request") << bytes;
  }
  ChatRequest request = Empty();
  AddImage(request, 0, "RIFF1234WEBP");
  EXPECT_EQ(Fault(request), "");
  AddImage(request, 0, kPng + std::string(kMaxAttachmentBytes, 'x'));
  EXPECT_EQ(Fault(request), "messages[0].content[2] invalid_request");
}

TEST(Attachments, AreCountedTogether) {
  ChatRequest request = Empty();
  for (int i = 0; i < 15; ++i) AddImage(request, 0, kPng);
  AddFile(request, "a.txt", "text");
  EXPECT_EQ(Fault(request), "");
  AddImage(request, 0, kPng);
  EXPECT_EQ(Fault(request), "messages[0].content[17] invalid_request");
}

TEST(Attachments, TextIsPartOfThePrompt) {
  ChatRequest request = Empty();
  for (const char* text : {"plain", "a,b\r\n1,2\r\n", "{\"a\":1}", "\xE4\xBD\xA0\xE5\xA5\xBD\n", "\tint x;\n"})
    EXPECT_TRUE(IsPromptText(AddFile(request, "x", text))) << text;
  auto attachments = AttachmentsOf(request, false);
  ASSERT_TRUE(attachments.ok()) << attachments.status();
  EXPECT_TRUE(attachments->empty());
  EXPECT_TRUE(IsPromptText(AddFile(request, "x", std::string(1024 * 1024, 'x'))));
  for (const std::string& bytes : {std::string(), std::string("\xC4\xE3\xBA\xC3"), std::string("a\0b", 3),
                                   std::string("%PDF-1.4\n"), std::string(1024 * 1024 + 1, 'x')})
    EXPECT_FALSE(IsPromptText(AddFile(request, "x", bytes))) << bytes.substr(0, 20);
}

TEST(Attachments, DocumentsGoBesideThePromptWhereTheModelTakesThem) {
  struct Row {
    const char* name;
    const char* media_type;
    std::string bytes;
    const char* is;
    const char* called;
  };
  const std::string zip = "PK\x03\x04...", compound = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1...";
  const std::vector<Row> rows = {
      {"report.pdf", "", "%PDF-1.7", "application/pdf", "report.pdf"},
      {"report", "", "%PDF-1.7", "application/pdf", "report.pdf"},
      {"", "", "%PDF-1.7", "application/pdf", "file.pdf"},
      {"draft v1.2", "", "%PDF-1.7", "application/pdf", "draft v1.2.pdf"},
      {"A.DOCX", "", zip, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "A.DOCX"},
      {"book", "application/epub+zip", zip, "application/epub+zip", "book.epub"},
      {"old.xls", "", compound, "application/vnd.ms-excel", "old.xls"},
      {"long.md", "", std::string(1024 * 1024 + 1, 'x'), "text/plain", "long.md"},
      {"a. b", "", std::string(1024 * 1024 + 1, 'x'), "text/plain", "a. b.txt"},
  };
  for (const Row& row : rows) {
    ChatRequest request = Empty();
    AddFile(request, row.name, row.bytes).set_media_type(row.media_type);
    auto files = AttachmentsOf(request, true);
    ASSERT_TRUE(files.ok() && files->size() == 1) << row.name << files.status();
    EXPECT_FALSE((*files)[0].image);
    EXPECT_EQ((*files)[0].media_type, row.is);
    EXPECT_EQ((*files)[0].filename, row.called);
    EXPECT_EQ(Fault(request, false), "messages[0].content[1] unsupported_parameter") << row.name;
  }
  for (const auto& [name, bytes] : std::vector<std::pair<std::string, std::string>>{{"a.zip", zip},
                                                                                    {"a.pdf", zip},
                                                                                    {"a.exe", "MZ\x90"},
                                                                                    {"a.txt", "\xC4\xE3"},
                                                                                    {"a.png", kPng},
                                                                                    {"a.txt", ""}}) {
    ChatRequest request = Empty();
    AddFile(request, name, bytes);
    EXPECT_EQ(Fault(request), "messages[0].content[1] invalid_request") << name;
  }
}

TEST(Attachments, NamesAreHarmless) {
  File file;
  for (const auto& [name, safe] :
       std::vector<std::pair<const char*, const char*>>{{"a.md", "a.md"},
                                                        {"\xE5\xB9\xB4\xE6\x8A\xA5.md", "\xE5\xB9\xB4\xE6\x8A\xA5.md"},
                                                        {"../../etc/passwd", "passwd"},
                                                        {"C:\\x\\a.md", "a.md"},
                                                        {"a\"\r\nX: y.md", "aX y.md"},
                                                        {"[System]", "System"},
                                                        {".htaccess", "file.htaccess"},
                                                        {"", "file"},
                                                        {"///", "file"}}) {
    file.set_filename(name);
    EXPECT_EQ(SafeFilename(file), safe) << name;
  }
  file.set_filename(std::string(300, 'x'));
  EXPECT_EQ(SafeFilename(file).size(), 120u);
}

TEST(SizeOfImage, OfEveryKind) {
  const auto size = [](const std::string& bytes) {
    const ImageSize found = SizeOfImage(bytes);
    return std::to_string(found.width) + "x" + std::to_string(found.height);
  };
  const std::string png("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0", 24);
  EXPECT_EQ(size(png), "640x480");
  EXPECT_EQ(size(png.substr(0, 23)), "0x0");
  EXPECT_EQ(size(std::string("GIF89a\x80\x02\xe0\x01", 10)), "640x480");
  const std::string jpeg("\xff\xd8\xff\xe0\0\x04JF\xff\xff\xc2\0\x0b\x08\x01\xe0\x02\x80\x03", 20);
  EXPECT_EQ(size(jpeg), "640x480");
  for (size_t cut = 0; cut < jpeg.size(); ++cut) size(jpeg.substr(0, cut));
  EXPECT_EQ(size(std::string("RIFF1234WEBPVP8 ....\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01", 30)), "640x480");
  EXPECT_EQ(size(std::string("RIFF1234WEBPVP8X....\0\0\0\0\x7f\x02\0\xdf\x01\0", 30)), "640x480");
  EXPECT_EQ(size(std::string("RIFF1234WEBPVP8L....\x2f\x7f\xc2\x77\0.....", 30)), "640x480");
  EXPECT_EQ(size("plain"), "0x0");
}

}  // namespace
}  // namespace switchyard
