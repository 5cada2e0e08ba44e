// Drives the window through what a person does with a photograph: asks about it, draws a region, changes a
// head, compares two answers, plays a scanpath, puts a person's beside it. Pictures of the window are kept
// for people to look at.
#include <QCheckBox>
#include <QComboBox>
#include <QDir>
#include <QDockWidget>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QMimeData>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QToolButton>
#include <QtTest>

#include "analysis/images/regions.h"
#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "app/views/picture/head_gallery.h"
#include "app/views/picture/picture_view.h"

using namespace saccade;

class SeeingWindowTest : public QObject {
  Q_OBJECT

  std::unique_ptr<MainWindow> window_;
  QTemporaryDir folder_;
  Workbench& bench() { return window_->workbench(); }
  PictureView* view() { return window_->picture_view(); }
  PictureCanvas* canvas() { return view()->canvas(); }
  RegionBar* regions() { return view()->regions(); }
  template <class Widget>
  Widget* child(const QString& name) {
    return window_->findChild<Widget*>(name);
  }
  void settle() { QTRY_VERIFY_WITH_TIMEOUT(window_->settled(), 30000); }
  void picture(const char* name) {
    QTest::qWait(60);
    QDir().mkpath(SACCADE_SCREENSHOTS);
    QVERIFY(window_->picture().save(QDir(SACCADE_SCREENSHOTS).filePath(QString(name) + ".png")));
  }
  void drop(const QString& file) {
    QMimeData dropped;
    dropped.setUrls({QUrl::fromLocalFile(file)});
    QDragEnterEvent enter(QPoint(300, 300), Qt::CopyAction, &dropped, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(window_.get(), &enter);
    QDropEvent drop(QPointF(300, 300), Qt::CopyAction, &dropped, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(window_.get(), &drop);
  }
  // From just inside the first corner of one patch to the last of another.
  void drag(int64_t from, int64_t to, Qt::KeyboardModifiers held) {
    const QPoint a = canvas()->rectangle_of(from).topLeft().toPoint() + QPoint(1, 1),
                 b = canvas()->rectangle_of(to).bottomRight().toPoint() - QPoint(1, 1);
    QTest::mousePress(canvas(), Qt::LeftButton, held, a);
    for (int step = 1; step <= 4; ++step) {
      const QPointF at = a + (b - a) * step / 4.0;
      QMouseEvent move(QEvent::MouseMove, at, canvas()->mapToGlobal(at), Qt::NoButton, Qt::LeftButton, held);
      QCoreApplication::sendEvent(canvas(), &move);
    }
    QTest::mouseRelease(canvas(), Qt::LeftButton, held, b);
  }
  void choose(const char* box, int index) {
    child<QComboBox>(box)->setCurrentIndex(index);
    Q_EMIT child<QComboBox>(box)->activated(index);
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setOrganizationName("saccade-test");
    QCoreApplication::setApplicationName("saccade-seeing-test");
    QStandardPaths::setTestModeEnabled(true);
    apply_theme(Theme::light);
    const auto kernels = choose_kernels("auto");
    QVERIFY(kernels.ok());
    window_ = std::make_unique<MainWindow>(WorkbenchOptions{*kernels, 2});
    window_->set_remember_session(false);
    window_->show();
    QVERIFY(QTest::qWaitForWindowExposed(window_.get()));
    window_->open_demo("shapes-vlm");
    QTRY_VERIFY_WITH_TIMEOUT(bench().run_a() && !bench().answer_is_stale(), 20000);
    settle();
  }
  void cleanupTestCase() { window_.reset(); }

  void a_drag_makes_a_region_that_is_listed_and_says_how_much_looks_there() {
    bench().select_head({LayerIndex{1}, HeadIndex{4}});
    const int64_t width = canvas()->scene().map.region.grid_width;
    const double zoom = canvas()->zoom();
    drag(width + 1, 3 * width + 4, Qt::ShiftModifier);
    QCOMPARE(bench().picture_look().regions.size(), size_t(1));
    QCOMPARE(canvas()->zoom(), zoom);
    const LookRegion region = bench().picture_look().regions[0];
    const PatchRect first = rect_of(canvas()->scene().map.region, width + 1),
                    last = rect_of(canvas()->scene().map.region, 3 * width + 4);
    QVERIFY2(std::abs(region.left - first.x) <= 1.0 && std::abs(region.top - first.y) <= 1.0 &&
                 std::abs(region.right - last.x - last.width) <= 1.0 &&
                 std::abs(region.bottom - last.y - last.height) <= 1.0,
             "the box is where it was drawn");
    QCOMPARE(child<QComboBox>("region_list")->currentText(), region.name);
    double mass = 0.0;
    const auto covered = coverage_of({"r", {{region.left, region.top, region.right, region.bottom}}, {}, 0},
                                     canvas()->scene().map.region);
    QVERIFY(covered.ok());
    for (size_t i = 0; i < covered->size(); ++i) mass += (*covered)[i] * canvas()->scene().map.values[i];
    const QString said = child<QLabel>("region_share")->text();
    QVERIFY2(said.contains(QString("%1 % of this row").arg(100.0 * mass, 0, 'f', 1)), qPrintable(said));
    // By the button, without Shift; a second one has a name of its own.
    child<QToolButton>("region_draw")->setChecked(true);
    drag(5 * width, 6 * width + 1, Qt::NoModifier);
    QCOMPARE(bench().picture_look().regions.size(), size_t(2));
    QVERIFY(bench().picture_look().regions[1].name != region.name);
    QVERIFY2(!child<QToolButton>("region_draw")->isChecked(), "one drag, one region");
    picture("seeing-regions");
  }

  void a_region_colours_the_grid_by_every_heads_mass() {
    const QString name = bench().picture_look().regions[1].name;
    QTest::mouseClick(child<QToolButton>("region_heads"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(bench().score_shown().endsWith(name + "_mass"), 10000);
    QVERIFY(bench().head_column(bench().score_shown()));
    settle();
    bench().set_score({});
  }

  void an_edit_takes_the_patches_under_it() {
    child<QComboBox>("region_list")->setCurrentIndex(0);
    regions()->add_edit(EditVerb::knockout, true);
    QCOMPARE(bench().edits().edits().size(), size_t(1));
    const Edit edit = bench().edits().edits()[0];
    const ImageRegion& image = canvas()->scene().map.region;
    int64_t cut = 0;
    for (int64_t patch = 0; patch < image.end() - image.first_patch(); ++patch)
      if (edit.key->contains(image.first_patch() + patch)) {
        ++cut;
        const int64_t row = patch / image.grid_width, column = patch % image.grid_width;
        QVERIFY2(row >= 1 && row <= 3 && column >= 1 && column <= 4, qPrintable(QString::number(patch)));
      }
    QCOMPARE(cut, int64_t(12));
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    bench().set_edits({});
    settle();
  }

  void regions_are_kept_in_the_session_and_can_be_renamed_and_removed() {
    auto* name = child<QLineEdit>("region_name");
    name->setText("cross: the, black one");
    Q_EMIT name->editingFinished();
    QCOMPARE(bench().picture_look().regions[0].name, QString("cross the black one"));
    const auto again = session_from_json(to_json(bench().session()));
    QVERIFY(again.ok());
    QVERIFY(picture_look_from(again->view["picture"]).regions == bench().picture_look().regions);
    QTest::mouseClick(child<QToolButton>("region_remove"), Qt::LeftButton);
    QCOMPARE(bench().picture_look().regions.size(), size_t(1));
    QTest::mouseClick(child<QToolButton>("region_remove"), Qt::LeftButton);
    QVERIFY(bench().picture_look().regions.empty());
    QVERIFY(!child<QToolButton>("region_remove")->isVisible());
  }

  void a_persons_path_stands_beside_the_models_or_over_it() {
    const auto pixels = bench().run_pictures()[0].pixels;
    QFile gaze(folder_.filePath("gaze.csv"));
    QVERIFY(gaze.open(QIODevice::WriteOnly));
    gaze.write("subject,image,x,y,duration\n");
    for (int i = 0; i < 4; ++i)
      gaze.write(QString("anna,%1,%2,%3,%4\n")
                     .arg(QString::fromStdString(pixels->name))
                     .arg(pixels->width * (0.2 + 0.2 * i))
                     .arg(pixels->height * (0.7 - 0.15 * i))
                     .arg(180 + 60 * i)
                     .toUtf8());
    gaze.close();
    QVERIFY2(!child<QCheckBox>("scanpath_beside")->isEnabled(), "there is nothing to put beside");
    choose("scanpath_model", 3);
    view()->scanpaths()->load_people(gaze.fileName());
    QCOMPARE(view()->scanpaths()->player().paths().size(), size_t(2));
    QCOMPARE(canvas()->panels(), 1);
    const double over = canvas()->rectangle_of(0).width();
    child<QCheckBox>("scanpath_beside")->setChecked(true);
    QCOMPARE(canvas()->panels(), 2);
    QVERIFY(canvas()->rectangle_of(0).width() <= over);
    const QPointF left = canvas()->rectangle_of(9, 0).center(), right = canvas()->rectangle_of(9, 1).center();
    QVERIFY(right.x() > left.x() + 40.0 && std::abs(right.y() - left.y()) < 0.5);
    QVERIFY(canvas()->patch_under(left) == 9 && canvas()->patch_under(right) == 9);
    // anna's fixations are on the right picture alone.
    const QImage shot = canvas()->grab().toImage();
    const Fixation& at = view()->scanpaths()->player().paths()[1].path.fixations[0];
    const auto seen = [&](int panel) {
      const QPointF place = canvas()->place_of(at.x, at.y, panel) + QPointF(-7, 6);
      return shot.pixelColor((place * shot.devicePixelRatio()).toPoint());
    };
    QVERIFY2(seen(0) != seen(1), qPrintable(seen(0).name() + " " + seen(1).name()));
    picture("seeing-beside");
    child<QCheckBox>("scanpath_beside")->setChecked(false);
    QCOMPARE(canvas()->panels(), 1);
    choose("scanpath_person", 0);
    choose("scanpath_model", 0);
  }

  // A photograph with overlay, two answers, an edit and a moving scanpath, at once.
  void a_photograph_with_everything_over_it() {
    const QString photograph = QDir(qEnvironmentVariable("SACCADE_TEST_DATA")).filePath("photos/chelsea.png");
    if (!QFile::exists(photograph))
      QSKIP("SACCADE_TEST_DATA holds no photos/chelsea.png: the photograph is not shown");
    bench().remove_picture(0);
    bench().set_prompt("<image> Describe the scene. Answer:", bench().add_bos());
    drop(photograph);
    QTRY_VERIFY_WITH_TIMEOUT(bench().pictures().size() == 1 && bench().pictures()[0].path == photograph,
                             10000);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().run_pictures().empty() &&
                                 bench().run_pictures()[0].path == photograph && !bench().answer_is_stale(),
                             10000);
    settle();
    bench().select_head({LayerIndex{1}, HeadIndex{4}});
    const int64_t width = canvas()->scene().map.region.grid_width;
    drag(2 * width + 2, 4 * width + 5, Qt::ShiftModifier);
    regions()->add_edit(EditVerb::knockout, true);
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    bench().generate();
    QTRY_VERIFY_WITH_TIMEOUT(!bench().text_a().running && bench().text_a().run && !bench().text_b().running &&
                                 bench().text_b().run,
                             20000);
    settle();
    QVERIFY(!bench().text_a().text.isEmpty() && !bench().text_b().text.isEmpty());
    bench().select_word(1);
    bench().set_score(HeadGallery::key);
    choose("scanpath_model", 1);
    settle();
    ScanpathPlayer& player = view()->scanpaths()->player();
    QVERIFY2(!player.paths().empty(), qPrintable(child<QLabel>("scanpath_note")->text()));
    player.set_time(0.0);
    player.play();
    QTRY_VERIFY_WITH_TIMEOUT(player.time() > 0.4 * player.duration(), 20000);
    player.pause();
    QVERIFY(!canvas()->scene().map.empty());
    QVERIFY(player.paths()[0].begun(player.time()) < player.paths()[0].path.fixations.size());
    picture("seeing-photograph");
    bench().set_score({});
  }

  // The card's name is seen whole, however low the panel is.
  void a_low_prompt_panel_does_not_cut_a_pictures_name() {
    auto* card = child<QWidget>("picture_card-0");
    QVERIFY(card);
    auto* dock = child<QDockWidget>("Prompt");
    window_->resizeDocks({dock}, {60}, Qt::Vertical);
    settle();
    picture("seeing-low-prompt");
    for (const QLabel* label : card->findChildren<QLabel*>()) {
      const QRect seen = label->visibleRegion().boundingRect();
      QVERIFY2(seen.height() == label->height(),
               qPrintable(QString("%1 of %2 rows").arg(seen.height()).arg(label->height())));
    }
  }
};

QTEST_MAIN(SeeingWindowTest)
#include "seeing_window_test.moc"
