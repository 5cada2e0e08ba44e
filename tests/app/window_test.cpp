// Drives the real window: opens the demo, looks, zeroes a head, reads the comparison, exports, undoes, comes
// back. A screenshot of every view is kept for people to look at.
#include <QDir>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMimeData>
#include <QSignalSpy>
#include <QSlider>
#include <QTabWidget>
#include <QTableWidget>
#include <QTemporaryDir>
#include <QTextEdit>
#include <QToolButton>
#include <QtTest>

#include "app/shell/error_bar.h"
#include "app/shell/found_card.h"
#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "app/views/head_grid/head_grid_view.h"
#include "app/views/head_map/head_map_view.h"
#include "app/views/head_map/map_canvas.h"
#include "core/run/edit_verbs.h"

using namespace saccade;

class WindowTest : public QObject {
  Q_OBJECT

  std::unique_ptr<MainWindow> window_;
  Workbench& bench() { return window_->workbench(); }
  template <class Widget>
  Widget* child(const char* name) {
    return window_->findChild<Widget*>(name);
  }
  void settle() { QTRY_VERIFY_WITH_TIMEOUT(window_->settled(), 30000); }
  void picture(const char* name) {
    QTest::qWait(60);
    QDir().mkpath(SACCADE_SCREENSHOTS);
    const QString path = QDir(SACCADE_SCREENSHOTS).filePath(QString(name) + ".png");
    QVERIFY(window_->picture().save(path));
    qInfo("screenshot %s", qPrintable(path));
  }
  void click_head(HeadId head, Qt::KeyboardModifiers keys = {}) {
    const QRect cell = window_->grid_view()->rectangle_of(head);
    QVERIFY(!cell.isEmpty());
    QWidget* at = window_->grid_view()->childAt(cell.center());
    QVERIFY(at);
    QTest::mouseClick(at, Qt::LeftButton, keys, at->mapFrom(window_->grid_view(), cell.center()));
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setOrganizationName("saccade-test");
    QCoreApplication::setApplicationName("saccade-test");
    QStandardPaths::setTestModeEnabled(true);
    apply_theme(Theme::light);
    const auto kernels = choose_kernels("auto");
    QVERIFY(kernels.ok());
    window_ = std::make_unique<MainWindow>(WorkbenchOptions{*kernels, 2});
    window_->set_remember_session(false);
    window_->show();
    QVERIFY(QTest::qWaitForWindowExposed(window_.get()));
    QApplication::setActiveWindow(window_.get());  // a virtual screen has no window manager to do it
    picture("empty");
    window_->open_demo();
    settle();
  }
  void cleanupTestCase() { window_.reset(); }

  void the_demo_opens_on_an_induction_head_and_says_what_one_sees() {
    QVERIFY(bench().model());
    QCOMPARE(bench().selection().head.layer.value, 1);
    QVERIFY2(child<QLabel>("finding")->text().contains("previous occurrence"),
             qPrintable(child<QLabel>("finding")->text()));
    auto* table = child<QTableWidget>("next_table");
    QVERIFY(table->rowCount() >= 10);
    QVERIFY2(table->item(0, 0)->text().contains("key"), qPrintable(table->item(0, 0)->text()));
    picture("first-look");
  }

  void the_map_draws_the_induction_stripe() {
    if (!window_->map_view()->canvas()) QSKIP("no OpenGL on this display");
    const QImage image = window_->map_view()->canvas()->grabFramebuffer();
    // The stripe is the brightest colour of the map, far below the diagonal: look for viridis's yellow.
    int yellow = 0;
    for (int y = image.height() * 6 / 10; y < image.height(); ++y)
      for (int x = 0; x < image.width() / 2; ++x) {
        const QColor c = image.pixelColor(x, y);
        yellow += c.red() > 200 && c.green() > 200 && c.blue() < 90;
      }
    QVERIFY2(yellow > 200, qPrintable(QString::number(yellow)));
  }

  void zeroing_a_head_moves_the_answer_and_undo_brings_it_back() {
    click_head({LayerIndex{1}, HeadIndex{2}});
    QCOMPARE(bench().selection().heads.size(), size_t(1));
    window_->grid_view()->setFocus();
    QTest::keyClick(window_.get(), Qt::Key_Z);
    QCOMPARE(bench().edits().edits().size(), size_t(1));
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    settle();
    QVERIFY(bench().comparison()->kl > 0.1);
    auto* table = child<QTableWidget>("next_table");
    QVERIFY(!table->isColumnHidden(2));
    QVERIFY(table->item(0, 3)->text().startsWith(QStringLiteral("−")));
    QVERIFY(child<QLabel>("divergence_label")->text().contains("KL"));
    bench().show_run(Shown::edited);
    settle();
    picture("edited");
    bench().show_run(Shown::difference);
    settle();
    picture("difference");
    QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().edited() && !bench().answer_is_stale(), 10000);
    QCOMPARE(bench().shown(), Shown::baseline);
    QVERIFY(table->isColumnHidden(2));
    QTest::keyClick(window_.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
  }

  void texts_generated_before_and_after_stand_side_by_side() {
    bench().set_edits({*parse_edit("zero 1.*")});
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    bench().generate();
    QTRY_VERIFY_WITH_TIMEOUT(
        !bench().text_a().running && !bench().text_b().running && !bench().text_b().text.isEmpty(), 20000);
    QVERIFY2(bench().text_a().text.startsWith(" key under the bridge"), qPrintable(bench().text_a().text));
    QVERIFY(bench().text_a().text != bench().text_b().text);
    QVERIFY(child<QTextEdit>("text_a")->toPlainText().contains("bridge"));
    settle();
    picture("generated");
  }

  void an_edit_typed_wrong_says_why_and_stays_to_be_mended() {
    auto* input = child<QLineEdit>("edit_input");
    const size_t before = bench().edits().edits().size();
    QTest::keyClicks(input, "zero 9.9");
    QTest::keyClick(input, Qt::Key_Return);
    QVERIFY(child<QLabel>("edit_problem")->text().contains("layers 0-2"));
    QCOMPARE(input->text(), "zero 9.9");
    QCOMPARE(bench().edits().edits().size(), before);
    input->clear();
    QTest::keyClicks(input, "scale 2.1 by=0.5");
    QTest::keyClick(input, Qt::Key_Return);
    QCOMPARE(bench().edits().edits().size(), before + 1);
    QVERIFY2(bench().text_b().text.isEmpty(), "a text made under other edits must not stay");
    settle();
  }

  void sliders_turn_zeroing_into_scaling_and_back_as_one_step_of_undo() {
    bench().set_edits({*parse_edit("zero 1.2")});
    settle();
    auto* slider = window_->findChild<QSlider*>("factor-0");
    QVERIFY(slider);
    QCOMPARE(slider->value(), 0);
    for (const int value : {20, 40, 60}) slider->setValue(value);
    QCOMPARE(QString::fromStdString(to_text(bench().edits().edits().at(0))), "scale 1.2 by=0.6");
    QTRY_VERIFY_WITH_TIMEOUT(!bench().answer_is_stale(), 10000);
    settle();
    bench().undo();
    QCOMPARE(QString::fromStdString(to_text(bench().edits().edits().at(0))), "zero 1.2");
    settle();
  }

  void the_menu_begins_an_edit_of_every_verb_for_the_selected_head_and_its_slider_moves_it() {
    bench().set_edits({});
    click_head({LayerIndex{1}, HeadIndex{2}});
    QMenu* menu = child<QToolButton>("edit_templates")->menu();
    auto* input = child<QLineEdit>("edit_input");
    size_t verbs = 0;
    for (QAction* action : menu->actions()) {
      if (action->isSeparator()) continue;
      action->trigger();
      QVERIFY2(parse_edit(input->text().toStdString()).ok(), qPrintable(input->text()));
      verbs += input->text().contains("5.1") ? 0 : 1;
      if (!action->text().startsWith("redistribute")) continue;
      QVERIFY2(input->text().startsWith("redistribute 1.2 by=0.4 key="), qPrintable(input->text()));
      QTest::keyClick(input, Qt::Key_Return);
    }
    input->clear();
    QCOMPARE(verbs, edit_verbs().size());
    for (const char* text : {"temperature 0.1 by=0.5", "# power 2.* by=2", "uniform 1.0 by=0.3 query=4:9"})
      bench().add_edit(*parse_edit(text));
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    settle();
    auto* slider = window_->findChild<QSlider*>("factor-0");
    QVERIFY(slider);
    QCOMPARE(slider->value(), 40);
    QCOMPARE(slider->maximum(), 100);
    slider->setValue(15);
    QCOMPARE(bench().edits().edits().at(0).by, 0.15);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().answer_is_stale(), 10000);
    settle();
    picture("edits-of-maps");
    bench().set_edits({*parse_edit("zero 1.2")});
    settle();
  }

  void figures_and_dumps_are_written() {
    QTemporaryDir folder;
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    window_->export_figure(FigureKind::map, folder.filePath("map.svg"));
    settle();
    window_->export_figure(FigureKind::comparison, folder.filePath("comparison.pdf"));
    settle();
    window_->export_figure(FigureKind::grid, folder.filePath("grid.png"));
    settle();
    bench().write_dump(folder.filePath("run.h5"), "pattern");
    settle();
    for (const char* name : {"map.svg", "comparison.pdf", "grid.png", "run.h5"})
      QVERIFY2(QFileInfo(folder.filePath(name)).size() > 500, name);
    window_->export_figure(FigureKind::map, "/nowhere/at/all.png");
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible(), 5000);
    QVERIFY(window_->error_bar()->message().contains("/nowhere"));
    window_->error_bar()->hide();
  }

  void a_model_that_is_not_there_is_an_error_and_loses_nothing() {
    const auto model = bench().model();
    const auto run = bench().run_a();
    bench().open_model("/no/such/model");
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible(), 5000);
    QVERIFY(window_->error_bar()->message().contains("/no/such/model"));
    QCOMPARE(bench().model(), model);
    QCOMPARE(bench().run_a(), run);
    picture("error");
    window_->error_bar()->hide();
  }

  void a_folder_is_looked_at_before_it_is_used() {
    QTemporaryDir folder;
    const std::filesystem::path where = folder.filePath("tiny").toStdString();
    QVERIFY(make_random_model("llama-tiny", where, 1).ok());
    const auto before = bench().model();
    bench().open_anything(folder.filePath("tiny"));
    FoundCard* card = window_->found_card();
    QTRY_VERIFY_WITH_TIMEOUT(card->isVisible(), 10000);
    QCOMPARE(bench().model(), before);
    for (const char* part :
         {"family: llama", "2 KV heads", "context", "tokenizer: byte-level BPE", "this prompt", "of captures",
          "parameters in float32", "special tokens: none are known"})
      QVERIFY2(card->text().contains(part), qPrintable(QString(part) + " in\n" + card->text()));
    picture("found");
    QTest::keyClick(card, Qt::Key_Escape);
    QVERIFY(!card->isVisible());
    QCOMPARE(bench().model(), before);
    bench().open_anything(folder.filePath("tiny"));
    QTRY_VERIFY_WITH_TIMEOUT(card->isVisible(), 10000);
    QTest::keyClick(card, Qt::Key_Return);
    QTRY_COMPARE_WITH_TIMEOUT(bench().model() ? bench().model()->name() : "", std::string("tiny"), 10000);
    QVERIFY(!card->isVisible());
    settle();
    QCOMPARE(bench().run_a()->capture->spec.family, std::string("llama"));
    window_->open_demo();
    QTRY_COMPARE_WITH_TIMEOUT(bench().model()->name(), std::string("demo:induction"), 10000);
    settle();
  }

  void a_checkpoint_of_another_family_is_offered_as_that() {
    QTemporaryDir folder;
    const std::filesystem::path where = folder.filePath("tiny").toStdString();
    QVERIFY(make_random_model("gpt2-tiny", where, 1).ok());
    QFile config(folder.filePath("tiny/config.json"));
    QVERIFY(config.open(QIODevice::ReadOnly));
    QByteArray text = config.readAll().replace("\"gpt2\"", "\"llama\"");
    config.close();
    QVERIFY(config.open(QIODevice::WriteOnly) && config.write(text) == text.size());
    config.close();
    bench().open_anything(folder.filePath("tiny"));
    auto* offer = window_->error_bar()->findChild<QToolButton*>("offer");
    QTRY_VERIFY_WITH_TIMEOUT(offer->isVisible(), 10000);
    QCOMPARE(offer->text(), QString("Open as gpt2"));
    QVERIFY2(window_->error_bar()->message().contains("num_hidden_layers"),
             qPrintable(window_->error_bar()->message()));
    picture("offer");
    QTest::mouseClick(offer, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(window_->found_card()->isVisible(), 10000);
    QVERIFY(window_->found_card()->text().contains("family: gpt2"));
    QVERIFY(window_->found_card()->text().contains("read as gpt2, as asked for"));
    window_->found_card()->hide();
  }

  void a_prompt_typed_runs_and_the_arcs_and_scores_follow() {
    bench().set_edits({});
    auto* prompt = window_->findChild<QPlainTextEdit*>("prompt");
    prompt->setFocus();
    prompt->setPlainText("When Mary and John went to the store, John gave a drink to");
    QTRY_COMPARE_WITH_TIMEOUT(bench().prompt(), prompt->toPlainText(), 5000);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().answer_is_stale(), 10000);
    settle();
    QVERIFY2(child<QTableWidget>("next_table")->item(0, 0)->text().contains("Mary"),
             "the other person receives");
    bench().select_heads({{LayerIndex{1}, HeadIndex{0}}, {LayerIndex{2}, HeadIndex{2}}});
    window_->tabs()->setCurrentIndex(1);
    picture("arcs");
    window_->tabs()->setCurrentIndex(0);
    bench().set_score("entropy");
    settle();
    picture("scores");
    bench().set_score({});
  }

  void finding_a_head_or_a_token_selects_it() {
    auto* find = child<QLineEdit>("find");
    find->setText("2.3");
    QTest::keyClick(find, Qt::Key_Return);
    QCOMPARE(bench().selection().head, (HeadId{LayerIndex{2}, HeadIndex{3}}));
    find->setText("store");
    QTest::keyClick(find, Qt::Key_Return);
    QVERIFY(bench().selection().query > 0);
    bench().back();
    bench().back();
    QVERIFY(bench().selection().head != (HeadId{LayerIndex{2}, HeadIndex{3}}));
  }

  void the_map_zooms_and_shows_numbers() {
    if (!window_->map_view()->canvas()) QSKIP("no OpenGL on this display");
    auto* canvas = window_->map_view()->canvas();
    const QPointF at(canvas->width() / 3.0, canvas->height() * 0.6);
    for (int i = 0; i < 12; ++i) {
      QWheelEvent wheel(at, canvas->mapToGlobal(at), {}, {0, 120}, Qt::NoButton, Qt::NoModifier,
                        Qt::NoScrollPhase, false);
      QCoreApplication::sendEvent(canvas, &wheel);
    }
    bench().select_tokens(8, 5);
    settle();
    picture("zoomed");
    QTest::mouseDClick(canvas, Qt::LeftButton, {}, at.toPoint());
  }

  void a_session_comes_back_as_it_was() {
    bench().set_edits({*parse_edit("zero 0.2"), *parse_edit("scale 1.1 by=0.5")});
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    const double kl = bench().comparison()->kl;
    const Session session = bench().session();
    QTemporaryDir folder;
    const std::string file = folder.filePath("s.json").toStdString();
    QVERIFY(save_session(session, file).ok());
    bench().set_edits({});
    bench().set_prompt("blue clock", true);
    settle();
    bench().open_anything(QString::fromStdString(file));
    QTRY_VERIFY_WITH_TIMEOUT(bench().prompt().startsWith("When Mary"), 10000);
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    QCOMPARE(bench().comparison()->kl, kl);
    QCOMPARE(bench().selection().head, session.selection.head);
  }

  void a_dump_opens_without_its_model() {
    QTemporaryDir folder;
    bench().write_dump(folder.filePath("run.h5"), {});
    settle();
    bench().open_anything(folder.filePath("run.h5"));
    QTRY_VERIFY_WITH_TIMEOUT(!bench().model() && bench().run_a(), 10000);
    settle();
    QVERIFY(bench().head_scores());
    picture("dump");
  }

  void dark_theme_is_readable() {
    apply_theme(Theme::dark);
    window_->open_demo();
    QTRY_VERIFY_WITH_TIMEOUT(bench().model(), 10000);
    settle();
    picture("dark");
    apply_theme(Theme::light);
  }
};

QTEST_MAIN(WindowTest)
#include "window_test.moc"
