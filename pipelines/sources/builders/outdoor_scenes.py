"""Which scenes of ADE20K are outdoors, by the names that the scene lists of its makers give."""

from __future__ import annotations

# The outdoor scenes of Places365, whose names ADE20K uses with an underscore for the slash, and
# a few of ADE20K's that are not among these.
_NAMES = """
airfield alley amphitheater amusement_park apartment_building_outdoor aqueduct arch
archaelogical_excavation army_base athletic_field_outdoor badlands balcony_exterior
bamboo_forest barn barndoor baseball_field bayou bazaar_outdoor beach beach_house beer_garden
boardwalk boat_deck boathouse botanical_garden bridge building_facade bullring butte
cabin_outdoor campsite campus canal_natural canal_urban canyon carrousel castle cemetery
chalet church_outdoor cliff coast construction_site corn_field corral cottage courthouse
courtyard cove creek crevasse crosswalk dam desert desert_road desert_sand desert_vegetation
diner_outdoor doorway_outdoor downtown driveway dune embassy estuary excavation farm field
field_cultivated field_road field_wild fire_escape fire_station fishpond fjord football_field
forest forest_broadleaf forest_needleleaf forest_path forest_road formal_garden fountain
garage_outdoor gas_station gazebo_exterior general_store_outdoor glacier golf_course
greenhouse_outdoor grotto hangar_outdoor harbor hayfield heliport highway hill hospital
hot_spring hotel_outdoor house hunting_lodge_outdoor ice_floe ice_shelf
ice_skating_rink_outdoor iceberg igloo industrial_area inn_outdoor islet japanese_garden
junkyard kasbah kennel_outdoor lagoon lake lake_natural landfill landing_deck lawn
library_outdoor lighthouse loading_dock lock_chamber mansion manufactured_home market_outdoor
marsh mausoleum meadow medina mesa moat_water mosque_outdoor motel mountain mountain_path
mountain_snowy museum_outdoor oasis oast_house ocean office_building oilrig orchard pagoda
palace park parking_garage_outdoor parking_lot pasture patio pavilion phone_booth picnic_area
pier plain playground plaza pond porch prairie promenade racecourse raceway raft
railroad_track rainforest ravine reef residential_neighborhood restaurant_patio rice_paddy
river road rock_arch roof_garden rope_bridge roundabout ruin runway sandbox savanna
schoolhouse shed shopfront shore sidewalk ski_resort ski_slope sky skyscraper slum
snow_mountain snowfield soccer_field stadium_baseball stadium_football stadium_soccer
stage_outdoor steppe stream street swamp swimming_hole swimming_pool_outdoor synagogue_outdoor
temple_asia topiary_garden tower tree_farm tree_house trench tundra valley vegetable_garden
viaduct village village_green vineyard volcano volleyball_court_outdoor water_park water_tower
waterfall watering_hole wave wheat_field wind_farm windmill woodland yard zen_garden
"""
_OUTDOOR = frozenset(_NAMES.split())

_OUTDOOR_ENDINGS = ("_outdoor", "_exterior", "_outdoors")


def is_outdoor(scene: str) -> bool:
    """Tells whether a scene is outdoors.

    Args:
        scene: its name, such as `street` or `apartment_building_outdoor`; slashes and blanks count
            as underscores.
    """
    name = scene.strip().lower().replace("/", "_").replace(" ", "_")
    return name in _OUTDOOR or name.endswith(_OUTDOOR_ENDINGS)
